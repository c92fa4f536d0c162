package config

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// errNoValue tells that a text is as good as none.
var errNoValue = errors.New("no value")

// Type says how the text of an option's value is read, checked and written. The zero value is none: take one of
// [String], [Bool], [Int], [Float], [Port], [Seconds], [FractionalSeconds], [List], [Multi], [Dict], [IP], [HostAddress],
// [HostDomain] and [URI].
type Type[T any] struct {
	name    string // as sample files say it
	multi   bool   // the option keeps all of its values
	parse   func(texts []string) (T, error)
	write   func(T) []string // as a file has it
	refer   func(T) string   // what $name stands for
	expand  func(T, func(string) (string, error)) (T, error)
	checks  []func(T) error
	lowest  string
	highest string
	choices []string
}

// Rule narrows what values an option takes.
type Rule[T any] func(*Type[T])

// AtLeast refuses values below least.
func AtLeast[T cmp.Ordered](least T) Rule[T] {
	return func(t *Type[T]) {
		t.lowest = t.refer(least)
		t.checks = append(t.checks, func(v T) error {
			if v < least {
				return fmt.Errorf("want at least %s", t.refer(least))
			}
			return nil
		})
	}
}

// AtMost refuses values above most.
func AtMost[T cmp.Ordered](most T) Rule[T] {
	return func(t *Type[T]) {
		t.highest = t.refer(most)
		t.checks = append(t.checks, func(v T) error {
			if v > most {
				return fmt.Errorf("want at most %s", t.refer(most))
			}
			return nil
		})
	}
}

// OneOf refuses all values but choices.
func OneOf[T comparable](choices ...T) Rule[T] {
	return func(t *Type[T]) {
		for _, choice := range choices {
			t.choices = append(t.choices, t.refer(choice))
		}
		t.checks = append(t.checks, func(v T) error {
			if !slices.Contains(choices, v) {
				return fmt.Errorf("want one of %s", strings.Join(t.choices, ", "))
			}
			return nil
		})
	}
}

// OneOfFold refuses all texts but choices, whatever their case.
func OneOfFold(choices ...string) Rule[string] {
	return func(t *Type[string]) {
		t.choices = append(t.choices, choices...)
		t.checks = append(t.checks, func(v string) error {
			if !slices.ContainsFunc(choices, func(choice string) bool { return strings.EqualFold(choice, v) }) {
				return fmt.Errorf("want one of %s", strings.Join(choices, ", "))
			}
			return nil
		})
	}
}

// MaxLength refuses texts of more than n characters.
func MaxLength(n int) Rule[string] {
	return func(t *Type[string]) {
		t.checks = append(t.checks, func(v string) error {
			if utf8.RuneCountInString(v) > n {
				return fmt.Errorf("want at most %d characters", n)
			}
			return nil
		})
	}
}

// Matching refuses texts in which pattern does not match; what says in errors what is wanted.
func Matching(pattern *regexp.Regexp, what string) Rule[string] {
	return func(t *Type[string]) {
		t.checks = append(t.checks, func(v string) error {
			if !pattern.MatchString(v) {
				return errors.New("want " + what)
			}
			return nil
		})
	}
}

// Checked refuses values that check has an error for, which says what is wanted, in one line and without the value itself.
func Checked[T any](check func(T) error) Rule[T] {
	return func(t *Type[T]) { t.checks = append(t.checks, check) }
}

func (t Type[T]) with(rules []Rule[T]) Type[T] {
	// Rules keep a pointer to what they narrow, for its way to write.
	narrowed := &t
	for _, rule := range rules {
		rule(narrowed)
	}
	return *narrowed
}

// check holds a value against the rules.
func (t *Type[T]) check(v T) error {
	for _, check := range t.checks {
		if err := check(v); err != nil {
			return err
		}
	}
	return nil
}

// scalar is a type of one text. Written as a file has it and as $name gives it are the same, but for booleans.
func scalar[T any](name string, parse func(string) (T, error), write func(T) string) Type[T] {
	return Type[T]{
		name:  name,
		parse: func(texts []string) (T, error) { return parse(texts[len(texts)-1]) },
		write: func(v T) []string { return []string{write(v)} },
		refer: write,
	}
}

// String is any text (oslo.config's StrOpt).
func String(rules ...Rule[string]) Type[string] {
	t := scalar("string value", func(text string) (string, error) { return text, nil }, func(v string) string { return v })
	t.expand = func(v string, expand func(string) (string, error)) (string, error) { return expand(v) }
	return t.with(rules)
}

// Bool is true, 1, on or yes, or false, 0, off or no, in any case (BoolOpt).
func Bool() Type[bool] {
	t := scalar("boolean value", parseBool, strconv.FormatBool)
	t.refer = func(v bool) string { // as Python writes it
		if v {
			return "True"
		}
		return "False"
	}
	return t
}

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "1", "on", "yes":
		return true, nil
	case "false", "0", "off", "no":
		return false, nil
	}
	return false, errors.New("want true or false")
}

// Int is a whole number (IntOpt). An empty text is no value: the default counts.
func Int(rules ...Rule[int]) Type[int] {
	return scalar("integer value", parseInt, strconv.Itoa).with(rules)
}

// Port is a number from 0 to 65535 (PortOpt).
func Port(rules ...Rule[int]) Type[int] {
	t := Int(slices.Concat([]Rule[int]{AtLeast(0), AtMost(math.MaxUint16)}, rules)...)
	t.name = "port value"
	return t
}

// wholeNumber is what Python's int takes, of ASCII.
var wholeNumber = regexp.MustCompile(`^[+-]?[0-9]+(_[0-9]+)*$`)

func parseInt(text string) (int, error) {
	text = strings.TrimFunc(text, isSpace)
	switch {
	case text == "":
		return 0, errNoValue
	case !wholeNumber.MatchString(text):
		return 0, errors.New("want a whole number")
	}
	n, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
	if err != nil {
		return 0, errors.New("want a whole number of at most 63 bits")
	}
	return n, nil
}

// Float is a number (FloatOpt). An empty text is no value: the default counts. What is no number, nan, and what is
// infinite is refused, other than in oslo.config.
func Float(rules ...Rule[float64]) Type[float64] {
	return scalar("floating point value", parseFloat, formatFloat).with(rules)
}

// decimal is what Python's float takes, of ASCII, but for nan and inf.
var decimal = regexp.MustCompile(`^[+-]?([0-9]+(_[0-9]+)*\.?([0-9]+(_[0-9]+)*)?|\.[0-9]+(_[0-9]+)*)([eE][+-]?[0-9]+(_[0-9]+)*)?$`)

func parseFloat(text string) (float64, error) {
	text = strings.TrimFunc(text, isSpace)
	switch {
	case text == "":
		return 0, errNoValue
	case !decimal.MatchString(text):
		return 0, errors.New("want a number")
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	if err != nil {
		return 0, errors.New("want a number that is not so large")
	}
	return f, nil
}

// formatFloat writes 1.0, not 1, as Python does.
func formatFloat(f float64) string {
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// Seconds is a time in whole seconds (an IntOpt whose help says seconds).
func Seconds(rules ...Rule[time.Duration]) Type[time.Duration] {
	return scalar("integer value", func(text string) (time.Duration, error) {
		n, err := parseInt(text)
		if err != nil {
			return 0, err
		}
		if int64(n) > math.MaxInt64/int64(time.Second) || int64(n) < math.MinInt64/int64(time.Second) {
			return 0, errors.New("want fewer seconds")
		}
		return time.Duration(n) * time.Second, nil
	}, func(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }).with(rules)
}

// FractionalSeconds is a time in seconds that may have a fraction (a FloatOpt).
func FractionalSeconds(rules ...Rule[time.Duration]) Type[time.Duration] {
	return scalar("floating point value", func(text string) (time.Duration, error) {
		f, err := parseFloat(text)
		if err != nil {
			return 0, err
		}
		if math.Abs(f) >= math.MaxInt64/float64(time.Second) {
			return 0, errors.New("want fewer seconds")
		}
		return time.Duration(f * float64(time.Second)), nil
	}, func(d time.Duration) string { return formatFloat(d.Seconds()) }).with(rules)
}

// List is texts with commas between them, each without the spaces around it (ListOpt). Commas at the end are dropped; quotes
// mean nothing.
func List(rules ...Rule[[]string]) Type[[]string] {
	return Type[[]string]{
		name:   "list value",
		parse:  func(texts []string) ([]string, error) { return splitList(texts[len(texts)-1]), nil },
		write:  func(v []string) []string { return []string{strings.Join(v, ",")} },
		refer:  func(v []string) string { return strings.Join(v, ",") },
		expand: expandAll,
	}.with(rules)
}

func splitList(text string) []string {
	text = strings.TrimRight(strings.TrimFunc(text, isSpace), ",")
	if text == "" {
		return []string{}
	}
	items := strings.Split(text, ",")
	for i, item := range items {
		items[i] = strings.TrimFunc(item, isSpace)
	}
	return items
}

// Multi is a text for each time that the option is given, in the order of files (MultiStrOpt). Flags, or else the
// environment, whose variable is one value, stand for those of files.
func Multi() Type[[]string] {
	return Type[[]string]{
		name:   "multi valued",
		multi:  true,
		parse:  func(texts []string) ([]string, error) { return texts, nil },
		write:  slices.Clone[[]string],
		refer:  func(v []string) string { return strings.Join(v, ",") },
		expand: expandAll,
	}
}

func expandAll(v []string, expand func(string) (string, error)) ([]string, error) {
	expanded := make([]string, len(v))
	for i, text := range v {
		var err error
		if expanded[i], err = expand(text); err != nil {
			return nil, err
		}
	}
	return expanded, nil
}
