package packet

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Attributes are short texts by name that travel with a packet and are
// inherited by what comes of it. A name is a lower-case letter and then
// lower-case letters, digits and '_'; a value is UTF-8 without the byte 0.
//
// The attributes of a packet are shared between packets and never changed.
type Attributes map[string]string

// FileAttribute is the attribute of a packet that was a file in a watched folder, and of
// what comes of it: the file's name below the folder.
const FileAttribute = "file"

// The limits of a packet's attributes.
const (
	MaxAttributes     = 64       // how many a packet has
	MaxAttributeName  = 64       // the longest name, in bytes
	MaxAttributeBytes = 16 << 10 // all names and values together
)

// Check says which rule a breaks; nil means none.
func (a Attributes) Check() error {
	if len(a) > MaxAttributes {
		return fmt.Errorf("%d attributes; at most %d are allowed", len(a), MaxAttributes)
	}
	if n := a.bytes(); n > MaxAttributeBytes {
		return fmt.Errorf("the attributes have %d bytes, names and values together; at most %d are allowed", n, MaxAttributeBytes)
	}
	for name, value := range a {
		if checkAttribute(name, value) != nil { // say it of the first by name
			for _, name := range a.names() {
				if err := checkAttribute(name, a[name]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func checkAttribute(name, value string) error {
	switch {
	case name == "":
		return fmt.Errorf("an attribute's name is empty")
	case len(name) > MaxAttributeName:
		return fmt.Errorf("an attribute's name is %d bytes long; at most %d are allowed", len(name), MaxAttributeName)
	}
	for i, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return fmt.Errorf("the attribute's name %q: expected a lower-case letter, then lower-case letters, digits and '_', such as sample_id", name)
		}
	}
	switch {
	case !utf8.ValidString(value):
		return fmt.Errorf("the attribute %s is not UTF-8 text", name)
	case strings.IndexByte(value, 0) >= 0:
		return fmt.Errorf("the attribute %s has a byte 0", name)
	}
	return nil
}

// bytes counts those of all names and values.
func (a Attributes) bytes() (n int) {
	for name, value := range a {
		n += len(name) + len(value)
	}
	return n
}

// names are the names in order.
func (a Attributes) names() []string { return slices.Sorted(maps.Keys(a)) }

// With are a, changed and extended by set. It keeps neither a nor set, except
// that it returns a itself where set changes nothing.
func (a Attributes) With(set Attributes) Attributes {
	if a.Has(set) {
		return a
	}
	all := make(Attributes, len(a)+len(set))
	maps.Copy(all, a)
	maps.Copy(all, set)
	return all
}

// Text is name=value of each, by name, for people.
func (a Attributes) Text() string {
	var out []string
	for _, name := range a.names() {
		out = append(out, name+"="+a[name])
	}
	return strings.Join(out, " ")
}

// Has tells whether all of set are in a.
func (a Attributes) Has(set Attributes) bool {
	for name, value := range set {
		if old, ok := a[name]; !ok || old != value {
			return false
		}
	}
	return true
}

// An Output is what one run of a seed gives at a time, by whatever kind of
// runner: a state, data and attributes.
type Output struct {
	// State is NAME, Type:NAME, or "" for the contract's only output.
	State State
	// Data is the data, unless Blob is set.
	Data string
	// Blob is where the data lies that is too large for Data; else nil.
	Blob *Blob
	// Attributes change and extend those that the output inherits; nil sets
	// none. They are not kept.
	Attributes Attributes
}
