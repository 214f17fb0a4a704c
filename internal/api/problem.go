package api

import (
	"errors"
	"net/http"
)

// A Problem is an error as it goes over the wire (RFC 9457). Taken counts the
// packets that were in, retried or dropped before it happened.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Taken  int    `json:"taken"`
	// Missing names the states and ids that no waiting packet has.
	Missing []string `json:"missing,omitempty"`
}

func (p *Problem) Error() string { return p.Detail }

// IsNotFound tells whether a node has answered that it does not have what was asked for.
func IsNotFound(err error) bool {
	var problem *Problem
	return errors.As(err, &problem) && problem.Status == http.StatusNotFound
}
