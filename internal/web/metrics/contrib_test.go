package metrics

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v2"
)

const contrib = "../../../contrib"

// named are the metrics that an expression names; up is Prometheus's own.
var named = regexp.MustCompile(`\b(?:pumpkin|process|go)_[a-z0-9_]+\b`)

// exist fails for what an expression names and a real scrape does not have.
func exist(t *testing.T, what, expr string, scraped map[string]bool) {
	t.Helper()
	names := named.FindAllString(expr, -1)
	if len(names) == 0 {
		t.Errorf("%s: %q names no metric", what, expr)
	}
	for _, name := range names {
		if !scraped[name] {
			t.Errorf("%s: there is no metric %s", what, name)
		}
	}
	if strings.Count(expr, "(") != strings.Count(expr, ")") || strings.Count(expr, "{") != strings.Count(expr, "}") {
		t.Errorf("%s: %q is not closed", what, expr)
	}
}

func scraped(t *testing.T) map[string]bool {
	names := map[string]bool{}
	for name := range scrape(t, busy(t), "text/plain") {
		names[name] = true
	}
	return names
}

// TestDashboard reads the dashboard for Grafana.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(contrib, "grafana", "pumpkin.json"))
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		UID, Title string
		Panels     []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ RefID, Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	if board.UID == "" || board.Title == "" || len(board.Panels) < 10 {
		t.Fatalf("the dashboard is %+v", board)
	}
	have, ids := scraped(t), map[int]bool{}
	for _, p := range board.Panels {
		if ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 || p.GridPos.W == 0 || len(p.Targets) == 0 {
			t.Errorf("the panel %q has no place of its own: %+v", p.Title, p)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			exist(t, p.Title, target.Expr, have)
		}
	}
}

// TestRules reads the alert rules.
func TestRules(t *testing.T) {
	path := filepath.Join(contrib, "prometheus", "pumpkin.rules.yml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr         string
				For                 model.Duration
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.UnmarshalStrict(text, &file); err != nil {
		t.Fatal(err)
	}
	have, seen := scraped(t), map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			exist(t, r.Alert, r.Expr, have)
			if r.Alert == "" || seen[r.Alert] || r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
				t.Errorf("a rule is not whole: %+v", r)
			}
			seen[r.Alert] = true
		}
	}
	if len(seen) == 0 {
		t.Error("there are no rules")
	}
}
