package seed

// MarshalText writes the contract as [Contract.String] does.
func (c Contract) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (c *Contract) UnmarshalText(text []byte) error {
	parsed, err := ParseContract(string(text))
	if err != nil {
		return err
	}
	*c = parsed
	return nil
}
