package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Dict is names and texts, as name:value with commas between them (DictOpt). The first colon of a pair counts; values have no
// commas, and a part without a colon belongs to the name behind it.
func Dict() Type[map[string]string] {
	return Type[map[string]string]{
		name:  "dict value",
		parse: func(texts []string) (map[string]string, error) { return splitDict(texts[len(texts)-1]) },
		write: func(v map[string]string) []string { return []string{joinDict(v)} },
		refer: joinDict,
		expand: func(v map[string]string, expand func(string) (string, error)) (map[string]string, error) {
			expanded := make(map[string]string, len(v))
			for name, text := range v {
				var err error
				if expanded[name], err = expand(text); err != nil {
					return nil, err
				}
			}
			return expanded, nil
		},
	}
}

func splitDict(text string) (map[string]string, error) {
	values := map[string]string{}
	text = strings.TrimFunc(text, isSpace)
	if text == "" {
		return values, nil
	}
	pairs := strings.Split(text, ",")
	for i := 0; i < len(pairs); i++ {
		pair := pairs[i]
		for ; !strings.Contains(pair, ":"); i++ { // a comma in a name
			if i+1 == len(pairs) {
				return nil, errors.New("want pairs of name:value with commas between them")
			}
			pair += "," + pairs[i+1]
		}
		name, value, _ := strings.Cut(pair, ":")
		name = strings.TrimFunc(name, isSpace)
		if name == "" {
			return nil, errors.New("want a name before each colon")
		}
		if _, twice := values[name]; twice {
			return nil, fmt.Errorf("want the name %q once", name)
		}
		values[name] = strings.TrimFunc(value, isSpace)
	}
	return values, nil
}

func joinDict(v map[string]string) string {
	pairs := make([]string, 0, len(v))
	for _, name := range slices.Sorted(maps.Keys(v)) {
		pairs = append(pairs, name+":"+v[name])
	}
	return strings.Join(pairs, ",")
}
