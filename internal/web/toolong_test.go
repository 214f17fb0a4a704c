package web

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/packet"
)

// TestNamesThatAreTooLong are refused by every way of the API.
func TestNamesThatAreTooLong(t *testing.T) {
	_, client := serve(t)
	bad := api.Sending{ID: packet.NewID(), State: "A:A", Stop: strings.Repeat("n", packet.MaxName+1)}
	var problem *api.Problem
	if taken, err := client.SendMany(t.Context(), list(io.EOF, api.Sending{State: "A:A"}, bad)); taken != 1 || !errors.As(err, &problem) || problem.Status != http.StatusBadRequest {
		t.Errorf("%d taken, %v", taken, err)
	}
	if _, err := client.Send(t.Context(), bad, strings.NewReader("x"), 1); !errors.As(err, &problem) || !strings.Contains(err.Error(), "bytes long") {
		t.Error(err)
	}
}
