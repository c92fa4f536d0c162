package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Key names an option.
type Key struct {
	Group string // empty is DEFAULT
	Name  string
}

// String is [group] name.
func (k Key) String() string { return "[" + k.Group + "] " + k.Name }

// normal is the key under which values are kept.
func (k Key) normal() Key {
	if k.Group == "" {
		k.Group = DefaultGroup
	}
	return Key{normalGroup(k.Group), strings.ReplaceAll(k.Name, "-", "_")}
}

// Option is one thing that can be configured. It must not be changed once it is registered.
type Option[T any] struct {
	// Group is the section of files that it stands in; empty is DEFAULT.
	Group string
	// Name consists of small letters, digits and underscores.
	Name string
	// Type is one of [String], [Int] and so on.
	Type Type[T]
	// Default counts where no value is given. References in it, as $state_path, are resolved.
	Default T
	// NoDefault tells sample files that the option is unset by default; Get then gives Default all the same, the
	// zero value as a rule, and Given tells the two apart.
	NoDefault bool
	// Help says what the option does and in which unit.
	Help string
	// SampleDefault stands in sample files in place of Default.
	SampleDefault string
	// Deprecated are former names, whose values count where the present one is not given, with a warning. An empty
	// Group is that of the option, an empty Name its name.
	Deprecated []Key
	// Obsolete tells why the option should no longer be used; a warning says so where it is given.
	Obsolete string
	// Secret keeps the value out of logs and errors.
	Secret bool
	// Mutable lets [Config.Mutate] change the value.
	Mutable bool
	// Required refuses a configuration that does not give the option.
	Required bool
	// CLI lists the option's flag in the help of the program. All options have one.
	CLI bool
	// Short is the flag's one-letter form.
	Short string
}

// Get is the option's value in c. It is safe for concurrent use, also with a reload, and takes no lock. The slice of a list
// must not be changed. Before [Config.Load] it is the default. Get panics where the option is not registered with c, which
// is a programmer's mistake.
func (o *Option[T]) Get(c *Config) T {
	value, _ := o.setting(c).value.(T) // registered: it is a T
	return value
}

// Given tells whether the value comes from a flag, the environment or a file, and not from the default.
func (o *Option[T]) Given(c *Config) bool { return o.setting(c).source != (Source{}) }

// Source tells where the value comes from.
func (o *Option[T]) Source(c *Config) Source { return o.setting(c).source }

// Text is the value as a file would have it, for what reads options itself, such as a driver.
func (o *Option[T]) Text(c *Config) string { return strings.Join(o.Type.write(o.Get(c)), ",") }

func (o *Option[T]) setting(c *Config) *setting {
	s := c.settings()[Key{o.Group, o.Name}.normal()]
	if s == nil {
		panic("config: option " + o.key().String() + " is not registered")
	}
	if _, ok := s.value.(T); !ok {
		panic("config: option " + o.key().String() + " is registered with another type")
	}
	return s
}

func (o *Option[T]) key() Key { return Key{o.Group, o.Name}.normal() }

// Definition is an [*Option] of whatever type.
type Definition interface{ define() (*definition, error) }

// definition is an option without its Go type.
type definition struct {
	key      Key // normalised
	group    string
	typeName string
	multi    bool
	boolean  bool

	help, sample, obsolete string
	defaults               []string // as a file has them; nil is none
	former                 []Key
	lowest, highest        string
	choices                []string

	secret, mutable, required, cli bool
	short                          string

	parse        func(texts []string) (any, error)
	write        func(any) []string
	refer        func(any) string
	expand       func(expand func(string) (string, error)) (any, error) // of the default
	defaultValue any
}

var optionName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]*$`)

// define checks the option and drops its Go type.
func (o *Option[T]) define() (*definition, error) {
	if !optionName.MatchString(o.Name) || strings.ContainsAny(o.Group, "[]\n") {
		return nil, fmt.Errorf("option %s: want a name of letters, digits and underscores", o.key())
	}
	if o.Type.parse == nil {
		return nil, fmt.Errorf("option %s: want a type", o.key())
	}
	t := o.Type
	d := &definition{
		key: o.key(), group: o.Group, typeName: t.name, multi: t.multi,
		help: o.Help, sample: o.SampleDefault, obsolete: o.Obsolete,
		lowest: t.lowest, highest: t.highest, choices: t.choices,
		secret: o.Secret, mutable: o.Mutable, required: o.Required, cli: o.CLI, short: o.Short,
		write:        func(v any) []string { value, _ := v.(T); return t.write(value) },
		refer:        func(v any) string { value, _ := v.(T); return t.refer(value) },
		defaultValue: o.Default,
	}
	if d.group == "" {
		d.group = DefaultGroup
	}
	_, d.boolean = any(o.Default).(bool)
	if !o.NoDefault {
		d.defaults = t.write(o.Default)
	}
	for _, former := range o.Deprecated {
		d.former = append(d.former, formerKeys(d, former)...)
	}
	d.parse = func(texts []string) (any, error) {
		value, err := t.parse(texts)
		if err == nil {
			err = t.check(value)
		}
		return value, err
	}
	d.expand = func(expand func(string) (string, error)) (any, error) {
		if t.expand == nil {
			return o.Default, nil
		}
		return t.expand(o.Default, expand)
	}
	return d, o.checkDefault()
}

// checkDefault holds the default against the rules of its type, unless it refers to what is not known yet.
func (o *Option[T]) checkDefault() error {
	if o.NoDefault || slices.ContainsFunc(o.Type.write(o.Default), func(text string) bool { return strings.Contains(text, "$") }) {
		return nil
	}
	if err := o.Type.check(o.Default); err != nil {
		return fmt.Errorf("option %s: default: %w", o.key(), err)
	}
	return nil
}

// formerKeys are a former name as files and flags may have it: oslo.config takes dashes for underscores as well.
func formerKeys(d *definition, former Key) []Key {
	if former.Group == "" {
		former.Group = d.group
	}
	if former.Name == "" {
		former.Name = d.key.Name
	}
	former.Group = normalGroup(former.Group)
	keys := []Key{former}
	if plain := former.normal(); plain != former {
		keys = append(keys, plain)
	}
	return keys
}

// same tells whether two packages have defined one option alike.
func (d *definition) same(other *definition) bool {
	return d.typeName == other.typeName && d.multi == other.multi && d.help == other.help &&
		slices.Equal(d.defaults, other.defaults) && slices.Equal(d.former, other.former) && slices.Equal(d.choices, other.choices) &&
		d.lowest == other.lowest && d.highest == other.highest && d.mutable == other.mutable
}

// ErrDuplicate is what [Config.Register] fails with for a second option of a name that differs from the first.
var ErrDuplicate = errors.New("registered twice, differently")
