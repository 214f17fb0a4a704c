package runner

import (
	"strings"
	"testing"

	"github.com/recap/pumpkin/packet"
)

func TestEnding(t *testing.T) {
	for file, want := range map[string]string{
		"a.fits": ".fits", "x/y.z/a.FASTQ": ".FASTQ", "a.fastq.gz": ".fastq.gz", "a.tar.zst": ".tar.zst", "b.gz": ".gz", "a.b.c": ".c",
		"": "", "plain": "", "x.y/plain": "", "a.": "", ".": "", "..": "", "a.pkt": "", "a.$(x)": "", "a.\n": "", "a." + strings.Repeat("x", maxEnding): "",
	} {
		if got := Ending(packet.Attributes{packet.FileAttribute: file}, true); got != want {
			t.Errorf("%q: %q; expected %q", file, got, want)
		}
	}
	if got := Ending(packet.Attributes{packet.FileAttribute: "a.fits"}, false); got != "" {
		t.Errorf("what comes of a file is given its ending %q", got)
	}
	if got := Ending(nil, true); got != "" {
		t.Errorf("a packet that was no file: %q", got)
	}
}
