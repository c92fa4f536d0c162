package config

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// sampleWidth is how long the lines of help in a sample are at most.
const sampleWidth = 79

// Sample writes a file with every registered option, commented out, with its help, bounds and default, as
// oslo-config-generator does. Groups are sorted, DEFAULT first; options are in the order of registration.
func (c *Config) Sample(w io.Writer) error {
	c.loading.Lock()
	groups := make(map[string][]*definition)
	var names []string
	for _, d := range c.order {
		if groups[d.key.Group] == nil {
			names = append(names, d.key.Group)
		}
		groups[d.key.Group] = append(groups[d.key.Group], d)
	}
	c.loading.Unlock()
	slices.SortFunc(names, func(a, b string) int {
		return strings.Compare(strings.TrimPrefix(a, DefaultGroup), strings.TrimPrefix(b, DefaultGroup))
	})
	var b bytes.Buffer
	for i, name := range names {
		if i > 0 {
			b.WriteString("\n\n")
		}
		fmt.Fprintf(&b, "[%s]\n", groups[name][0].group)
		for _, d := range groups[name] {
			b.WriteByte('\n')
			d.sampleTo(&b)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (d *definition) sampleTo(b *bytes.Buffer) {
	help := d.help
	if d.obsolete != "" {
		help = "DEPRECATED: " + help
	}
	comment(b, strings.TrimSpace(fmt.Sprintf("%s (%s)", help, d.typeName)))
	if d.lowest != "" {
		fmt.Fprintf(b, "# Minimum value: %s\n", d.lowest)
	}
	if d.highest != "" {
		fmt.Fprintf(b, "# Maximum value: %s\n", d.highest)
	}
	if len(d.choices) > 0 {
		fmt.Fprintf(b, "# Possible values: %s\n", strings.Join(shownChoices(d.choices), ", "))
	}
	if d.required {
		b.WriteString("# This option must be given.\n")
	}
	if d.mutable {
		b.WriteString("# Note: This option can be changed without restarting.\n")
	}
	for _, key := range d.former {
		if !strings.Contains(key.Name, "-") {
			fmt.Fprintf(b, "# Deprecated group/name - [%s]/%s\n", key.Group, key.Name)
		}
	}
	if d.obsolete != "" {
		comment(b, "This option is deprecated: "+d.obsolete)
	}
	for _, value := range d.sampleValues() {
		fmt.Fprintf(b, "#%s =%s\n", d.key.Name, value)
	}
}

// shownChoices are choices with quotes for an empty one.
func shownChoices(choices []string) []string {
	shown := slices.Clone(choices)
	for i, choice := range shown {
		if choice == "" {
			shown[i] = "''"
		}
	}
	return shown
}

// sampleValues are what stands behind the = signs.
func (d *definition) sampleValues() []string {
	values := d.defaults
	switch {
	case d.sample != "":
		values = []string{d.sample}
	case values == nil:
		values = []string{"<None>"}
	case len(values) == 0: // a Multi
		values = []string{""}
	}
	written := make([]string, 0, len(values))
	for _, value := range values {
		if value != strings.TrimFunc(value, isSpace) {
			value = `"` + value + `"`
		}
		if value != "" {
			value = " " + strings.ReplaceAll(value, "\n", "\n#    ")
		}
		written = append(written, value)
	}
	return written
}

// comment writes text as comment lines, wrapped between words.
func comment(b *bytes.Buffer, text string) {
	for paragraph := range strings.SplitSeq(text, "\n") {
		line := "#"
		for word := range strings.FieldsSeq(paragraph) {
			if len(line)+1+len(word) > sampleWidth && line != "#" {
				b.WriteString(line + "\n")
				line = "#"
			}
			line += " " + word
		}
		b.WriteString(line + "\n")
	}
}
