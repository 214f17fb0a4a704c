package folder

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// TokenFile holds what opens the node's page.
const TokenFile = "http.token"

// tokenForm is what a token is made of.
var tokenForm = regexp.MustCompile(`^[a-z2-7]{26}$`)

// Token is what opens the page of the node that has the data folder dir: the same at
// each start. It is drawn where there is none yet, or where others could read it.
func Token(dir string) (string, error) {
	path := filepath.Join(dir, TokenFile)
	info, err := os.Lstat(path)
	if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 == 0 {
		text, err := os.ReadFile(path)
		if token := strings.TrimSpace(string(text)); err == nil && tokenForm.MatchString(token) {
			return token, nil
		}
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("the page's token: %w", err)
	}
	token := strings.ToLower(rand.Text())
	return token, WriteFile(path, []byte(token+"\n"))
}
