package config

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Flags that name files.
const (
	fileFlag = "config-file"
	dirFlag  = "config-dir"
)

// ErrHelp is what [Config.Parse] fails with when --help is given.
var ErrHelp = pflag.ErrHelp

// flags is what a command line says.
type flags struct {
	values  map[Key]given
	sources []namedSource
}

type namedSource struct{ flag, path string }

// named tells whether the command line has that flag.
func (f *flags) named(flag string) bool {
	return slices.ContainsFunc(f.sources, func(s namedSource) bool { return s.flag == flag })
}

// Parse reads a command line without the program's name, and then does a Load. The error is as Load's, or [ErrHelp], or one
// that tells which flag is wrong.
func (c *Config) Parse(args []string) error {
	set, err := c.flagSet()
	if err != nil {
		return err
	}
	if err := set.Parse(args); err != nil {
		if errors.Is(err, ErrHelp) {
			return ErrHelp
		}
		return fmt.Errorf("config: %w", plainFlagError(err))
	}
	if set.NArg() > 0 {
		return fmt.Errorf("config: want flags only, got %d other arguments", set.NArg())
	}
	return c.Load()
}

// plainFlagError is what pflag found wrong without text of the command line that could be a password.
func plainFlagError(err error) error {
	var (
		unknown *pflag.NotExistError
		missing *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
	)
	switch {
	case errors.As(err, &unknown) && flagLike.MatchString(unknown.GetSpecifiedName()) && unknown.GetSpecifiedShortnames() == "":
		return fmt.Errorf("unknown flag --%s", unknown.GetSpecifiedName())
	case errors.As(err, &missing):
		return fmt.Errorf("flag --%s needs a value", missing.GetFlag().Name)
	case errors.As(err, &invalid):
		return fmt.Errorf("flag --%s: %w", invalid.GetFlag().Name, invalid.Unwrap())
	}
	return errors.New("unknown flag")
}

// flagLike is what a mistyped flag looks like, and hardly a password.
var flagLike = regexp.MustCompile(`^[a-z][a-z_-]{0,59}$`)

// Usage writes the flags that options with CLI have, for a program's help.
func (c *Config) Usage(w io.Writer) error {
	set, err := c.flagSet()
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, set.FlagUsagesWrapped(80))
	return err
}

func (c *Config) flagSet() (*pflag.FlagSet, error) {
	set := pflag.NewFlagSet(c.program, pflag.ContinueOnError)
	set.Usage = func() {}
	return set, c.AddFlags(set)
}

// AddFlags gives the options registered so far flags in set, such as that of a cobra command; call Load when set is
// parsed. It makes underscores in set's names the same as dashes. It fails where two flags have one name.
func (c *Config) AddFlags(set *pflag.FlagSet) error {
	c.loading.Lock()
	defer c.loading.Unlock()
	c.flags = flags{values: make(map[Key]given)}
	set.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
	})
	files := []*pflag.Flag{
		{Name: fileFlag, Usage: "`file` to read; may be given several times, later ones win", Value: &sourceValue{c, fileFlag}},
		{Name: dirFlag, Usage: "`directory` to read *.conf of, sorted, at its place among the files", Value: &sourceValue{c, dirFlag}},
	}
	if err := addFlags(set, files); err != nil {
		return err
	}
	for _, d := range c.order {
		if err := addFlags(set, c.flagsOf(d, Key{d.group, d.key.Name}, d.cli)); err != nil {
			return err
		}
	}
	for _, d := range c.order {
		for _, key := range d.former {
			if set.Lookup(flagName(key, "")) == nil { // else the name belongs to another option now
				if err := addFlags(set, c.flagsOf(d, key, false)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func addFlags(set *pflag.FlagSet, list []*pflag.Flag) error {
	for _, f := range list {
		if set.Lookup(f.Name) != nil || f.Shorthand != "" && set.ShorthandLookup(f.Shorthand) != nil {
			return fmt.Errorf("config: two flags have the name --%s", f.Name)
		}
		set.AddFlag(f)
	}
	return nil
}

// flagsOf are the flags of an option under one of its names: its own, and the inverse of a boolean's.
func (c *Config) flagsOf(d *definition, key Key, listed bool) []*pflag.Flag {
	f := &pflag.Flag{Name: flagName(key, ""), Usage: usage(d), Hidden: !listed}
	f.Value = &flagValue{config: c, definition: d, name: "--" + f.Name}
	if listed {
		f.Shorthand = d.short
	}
	if !d.boolean {
		return []*pflag.Flag{f}
	}
	f.NoOptDefVal = "true"
	inverse := flagName(key, "no")
	return []*pflag.Flag{f, {
		Name: inverse, Usage: "the inverse of --" + f.Name, Hidden: !listed, NoOptDefVal: "true",
		Value: &flagValue{config: c, definition: d, name: "--" + inverse, inverse: true},
	}}
}

// flagName is name, or group-name outside of DEFAULT, with prefix before the name as oslo.config puts it.
func flagName(key Key, prefix string) string {
	name := prefix + key.Name
	if key.Group != DefaultGroup {
		name = key.Group + "-" + name
	}
	return strings.ReplaceAll(name, "_", "-")
}

func usage(d *definition) string {
	text, _, _ := strings.Cut(d.help, "\n")
	if len(d.defaults) > 0 && strings.Join(d.defaults, "") != "" && !d.secret {
		text += " (default " + strings.Join(d.defaults, ",") + ")"
	}
	return text
}

// flagValue collects the values of an option's flag; Load reads them.
type flagValue struct {
	config     *Config
	definition *definition
	name       string
	inverse    bool
}

// String implements pflag.Value.
func (v *flagValue) String() string { return "" }

// Type implements pflag.Value: what help shows for the value.
func (v *flagValue) Type() string {
	if v.definition != nil && v.definition.boolean {
		return "bool"
	}
	return "value"
}

// Set implements pflag.Value.
func (v *flagValue) Set(text string) error {
	if v.inverse {
		if text != "true" {
			return errors.New("want no value")
		}
		text = "false"
	}
	values := v.config.flags.values
	key := v.definition.key
	values[key] = given{append(values[key].texts, text), Source{Kind: FromFlag, Name: v.name}}
	return nil
}

// sourceValue collects files and directories, in one order.
type sourceValue struct {
	config *Config
	flag   string
}

// String implements pflag.Value.
func (v *sourceValue) String() string { return "" }

// Type implements pflag.Value.
func (v *sourceValue) Type() string { return "path" }

// Set implements pflag.Value.
func (v *sourceValue) Set(text string) error {
	v.config.flags.sources = append(v.config.flags.sources, namedSource{v.flag, text})
	return nil
}
