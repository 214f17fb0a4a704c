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
	bad := api.Parcel{ID: packet.NewID(), State: "A:A", Stop: strings.Repeat("n", packet.MaxName+1)}
	var problem *api.Problem
	if taken, err := client.Send(t.Context(), list(io.EOF, api.Parcel{State: "A:A"}, bad)); taken != 1 || !errors.As(err, &problem) || problem.Status != http.StatusBadRequest {
		t.Errorf("%d taken, %v", taken, err)
	}
	if err := client.SendData(t.Context(), bad, strings.NewReader("x"), 1); !errors.As(err, &problem) || !strings.Contains(err.Error(), "bytes long") {
		t.Error(err)
	}
}
