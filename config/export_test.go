package config

// SetEtc stands dir in for /etc.
func (c *Config) SetEtc(dir string) { c.etc = dir }

// Entries reads an INI file's text: group and name before each value.
func Entries(text []byte) ([][3]string, error) {
	doc, err := parseINI("f.conf", text)
	if err != nil {
		return nil, err
	}
	var list [][3]string
	for _, e := range doc.entries {
		list = append(list, [3]string{e.key.Group, e.key.Name, e.value})
	}
	return list, nil
}

// Substitute resolves references by a map.
func Substitute(text string, values map[string]string) (string, error) {
	return substitute(text, func(name string) (string, error) { return values[name], nil })
}

// MaskURL hides credentials.
var MaskURL = maskURL
