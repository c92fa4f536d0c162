package config

import (
	"errors"
	"fmt"
	"strings"
)

// setting is the value of one option.
type setting struct {
	definition *definition
	value      any
	source     Source
}

// shown is the value for logs.
func (s *setting) shown() string {
	if s.definition.secret || secretName(s.definition.key.Name) {
		return hidden
	}
	return maskURL(strings.Join(s.definition.write(s.value), ","))
}

// resolver works the values of options out.
type resolver struct {
	config *Config
	inputs *inputs
	done   map[Key]*setting
	active map[Key]bool
}

// resolve returns the value of an option, working out those that it refers to.
func (r *resolver) resolve(d *definition) (*setting, error) {
	if s := r.done[d.key]; s != nil {
		return s, nil
	}
	if r.active[d.key] {
		return nil, fmt.Errorf("%s refers to itself", d.key)
	}
	r.active[d.key] = true
	defer delete(r.active, d.key)
	s, err := r.work(d)
	if err != nil {
		return nil, err
	}
	r.done[d.key] = s
	return s, nil
}

func (r *resolver) work(d *definition) (*setting, error) {
	s := &setting{definition: d}
	found, ok := r.inputs.of(d)
	if ok {
		err := r.read(s, found)
		if !errors.Is(err, errNoValue) {
			return s, err
		}
	}
	if d.required {
		return nil, &ValueError{Key: d.key, Err: errors.New("a value is required")}
	}
	var err error
	if s.value, err = d.expand(r.expander(d)); err != nil {
		return nil, &ValueError{Key: d.key, Err: err}
	}
	return s, nil
}

// read takes a value from what a source says.
func (r *resolver) read(s *setting, found given) error {
	d := s.definition
	expanded, err := expandAll(found.texts, r.expander(d))
	if err != nil {
		return &ValueError{d.key, found.source, hideReference(d, found.texts, err)}
	}
	value, err := d.parse(expanded)
	switch {
	case errors.Is(err, errNoValue):
		return err
	case err != nil:
		return &ValueError{d.key, found.source, showing(d, expanded, err)}
	}
	s.value, s.source = value, found.source
	return nil
}

// hideReference is why a reference cannot be resolved, without its name where that may be part of a password.
func hideReference(d *definition, texts []string, err error) error {
	text := strings.Join(texts, ",")
	if d.secret || secretName(d.key.Name) || maskURL(text) != text {
		return errors.New("a reference in it cannot be resolved (a dollar sign is $$)")
	}
	return err
}

// longestShown bounds what an error shows of a value.
const longestShown = 200

// showing adds the wrong text to an error, unless it may be a secret.
func showing(d *definition, texts []string, err error) error {
	text := texts[len(texts)-1]
	if d.secret || secretName(d.key.Name) {
		return err
	}
	if len(text) > longestShown {
		text = text[:longestShown] + "..."
	}
	return fmt.Errorf("%w, got %q", err, maskURL(text))
}

// expander resolves the references in a value of d: to an option of its group, else of DEFAULT.
func (r *resolver) expander(d *definition) func(string) (string, error) {
	lookup := func(name string) (string, error) {
		target := r.config.find(Key{d.group, name})
		if group, rest, dotted := strings.Cut(name, "."); dotted {
			target = r.config.find(Key{group, rest})
		}
		if target == nil {
			target = r.config.find(Key{DefaultGroup, name})
		}
		if target == nil {
			if text, known, err := r.foreign(d.group, name); known {
				return text, err
			}
			return "", fmt.Errorf("$%s refers to no option (a dollar sign is $$)", name)
		}
		s, err := r.resolve(target)
		if err != nil {
			return "", fmt.Errorf("$%s: %w", name, err)
		}
		if s.source == (Source{}) && target.defaults == nil {
			return "", nil // unset
		}
		return target.refer(s.value), nil
	}
	return func(text string) (string, error) { return substitute(text, lookup) }
}

// foreign is what files say of an option of another program, which [Config.Ignore] has made known: $state_path in an option of
// this program means what it means to the others that read the file.
func (r *resolver) foreign(group, name string) (text string, known bool, err error) {
	keys := []Key{{group, name}, {DefaultGroup, name}}
	if g, rest, dotted := strings.Cut(name, "."); dotted {
		keys = []Key{{g, rest}}
	}
	for _, key := range keys {
		key = key.normal()
		d := &definition{key: key, group: key.Group}
		found, given := r.inputs.of(d)
		if !given || !r.config.foreign[key] && !r.config.foreign[Key{Group: key.Group}] {
			continue
		}
		if r.active[key] {
			return "", true, fmt.Errorf("%s refers to itself", key)
		}
		r.active[key] = true
		defer delete(r.active, key)
		text, err = r.expander(d)(found.texts[0])
		return text, true, err
	}
	return "", false, nil
}
