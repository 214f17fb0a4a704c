package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/recap/pumpkin/internal/api"
	"github.com/recap/pumpkin/internal/store"
)

// kindOf is the type of a request's body, "" if there is none that can be read.
func kindOf(r *http.Request) string {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

// readOne reads the one JSON value that body is: what followed it would be lost.
func readOne(body io.Reader, into any) error {
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		if err == io.EOF {
			return errors.New("the body is empty; expected JSON")
		}
		return err
	}
	return ended(dec)
}

// ended is an error if something follows the value that was read.
func ended(dec *json.Decoder) error {
	_, err := dec.Token()
	if err == io.EOF {
		return nil
	}
	if err == nil || errors.As(err, new(*json.SyntaxError)) {
		return fmt.Errorf("something follows the JSON value, from byte %d on; expected one value: many packets go to /api/v1/packets as %s", dec.InputOffset(), api.LinesType)
	}
	return err
}

// contentOf is the data of a packet in JSON: text, or any bytes in base64.
func contentOf(text *string, raw []byte) (string, error) {
	switch {
	case text != nil && raw != nil:
		return "", errors.New("the packet has data and data64; expected one of them")
	case text != nil:
		return *text, nil
	case raw != nil:
		return string(raw), nil
	}
	return "", errors.New("the packet has no data; expected data, or data64 in base64")
}

// sendingHead is how many bytes of a packet in JSON may be other than its data.
const sendingHead = 64 << 10

// tooLarge tells whether it was given up to read something, since it is too much.
func tooLarge(err error) bool {
	var body *http.MaxBytesError
	return errors.Is(err, store.ErrTooLarge) || errors.As(err, &body)
}
