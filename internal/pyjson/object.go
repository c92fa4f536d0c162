package pyjson

// Object walks over the members of a JSON object, checking the text on its way. Values are spans of the
// text: they share its memory.
type Object struct {
	text  []byte
	at    int
	depth int
	begun bool
}

// NewObject starts on text, which must hold one object and nothing else; the error matches [ErrSyntax]
// where it begins otherwise. What follows the object is for [Object.End] to check.
func NewObject(text []byte) (Object, error) {
	at := skipSpace(text, 0)
	if at >= len(text) || text[at] != '{' {
		return Object{}, syntaxError(text, at, "an object")
	}
	return Object{text: text, at: at, depth: MaxDepth}, nil
}

// Next returns the next member: its key as it stands in the text, without the quotes and with its escapes
// (see [Unquote]), and its value. more is false behind the last one.
func (o *Object) Next() (key, value []byte, more bool, err error) {
	b := o.text
	var i int
	if o.begun {
		i = skipSpace(b, o.at)
		if i < len(b) && b[i] == '}' {
			o.at = i + 1
			return nil, nil, false, nil
		}
		if i >= len(b) || b[i] != ',' {
			return nil, nil, false, syntaxError(b, i, "a comma or }")
		}
		i = skipSpace(b, i+1)
	} else {
		if o.depth == 0 {
			return nil, nil, false, ErrDepth
		}
		o.begun = true
		i = skipSpace(b, o.at+1)
		if i < len(b) && b[i] == '}' {
			o.at = i + 1
			return nil, nil, false, nil
		}
	}
	if i >= len(b) || b[i] != '"' {
		return nil, nil, false, syntaxError(b, i, "a key")
	}
	end, err := skipString(b, i)
	if err != nil {
		return nil, nil, false, err
	}
	key = b[i+1 : end-1]
	i = skipSpace(b, end)
	if i >= len(b) || b[i] != ':' {
		return nil, nil, false, syntaxError(b, i, "a colon")
	}
	i = skipSpace(b, i+1)
	if end, err = skipValue(b, i, o.depth-1); err != nil {
		return nil, nil, false, err
	}
	o.at = end
	return key, b[i:end:end], true, nil
}

// End checks that nothing but blanks follows the object. Call it once Next has said that there is no more.
func (o *Object) End() error {
	if i := skipSpace(o.text, o.at); i != len(o.text) {
		return syntaxError(o.text, i, "the end")
	}
	return nil
}

// Array walks over the elements of a JSON array, as [Object] does over members.
type Array struct {
	text  []byte
	at    int
	begun bool
}

// NewArray starts on text, which must hold one array.
func NewArray(text []byte) (Array, error) {
	at := skipSpace(text, 0)
	if at >= len(text) || text[at] != '[' {
		return Array{}, syntaxError(text, at, "an array")
	}
	return Array{text: text, at: at}, nil
}

// Next returns the next element; more is false behind the last one.
func (a *Array) Next() (value []byte, more bool, err error) {
	b := a.text
	i := skipSpace(b, a.at)
	if !a.begun {
		a.begun = true
		i = skipSpace(b, i+1)
		if i < len(b) && b[i] == ']' {
			a.at = i + 1
			return nil, false, nil
		}
	} else {
		if i < len(b) && b[i] == ']' {
			a.at = i + 1
			return nil, false, nil
		}
		if i >= len(b) || b[i] != ',' {
			return nil, false, syntaxError(b, i, "a comma or ]")
		}
		i = skipSpace(b, i+1)
	}
	end, err := skipValue(b, i, MaxDepth-1)
	if err != nil {
		return nil, false, err
	}
	a.at = end
	return b[i:end:end], true, nil
}

// End checks that nothing but blanks follows the array. Call it once Next has said that there is no more.
func (a *Array) End() error {
	if i := skipSpace(a.text, a.at); i != len(a.text) {
		return syntaxError(a.text, i, "the end")
	}
	return nil
}
