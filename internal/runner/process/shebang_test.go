package process

import (
	"strings"
	"testing"
)

func TestCheckInterpreter(t *testing.T) {
	for _, c := range []struct{ head, want string }{
		{"#!/bin/sh\n", ""},
		{"#! /bin/sh -e\n", ""},
		{"#!/bin/sh", ""},
		{"#!/usr/bin/env sh\necho", ""},
		{"#!/usr/bin/env -S sh -e\n", ""},
		{"#!/usr/bin/env -S LC_ALL=C sh -e\n", ""},
		{"#!/usr/bin/env -S -i sh\n", ""},
		{"#!/usr/bin/env -Ssh -e\n", ""},
		{"#!/usr/bin/env\tsh\n", ""},
		{"\x7fELF", ""},
		{"#!\n", "names no interpreter"},
		{"#!/none/sh\n", "/none/sh: not found on this machine; install it"},
		{"#!/usr/bin/env nosuchprogram\n", "nosuchprogram: not found on this machine; install it"},
		{"#!/usr/bin/env -S LC_ALL=C nosuchprogram -x\n", "nosuchprogram: not found"},
		{"#!/usr/bin/env sh -e\n", "write #!/usr/bin/env -S sh -e"},
		{"#!/bin/sh\r\necho\r\n", "CR LF"},
		{"#!/usr/bin/env sh\r\n", `sed -i 's/\r$//' seed`},
	} {
		err := checkInterpreter("seed", c.head)
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.head, err, c.want)
		}
	}
}
