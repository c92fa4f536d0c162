package pyjson

// Scanner walks over one JSON text from its start to its end, for a decoder that knows what it wants: the
// decoder asks what comes next and takes it apart. Every step is checked, so that each byte is read once.
type Scanner struct {
	text  []byte
	at    int
	depth int
}

// NewScanner starts on text, in which arrays and objects may nest depth levels deep.
func NewScanner(text []byte, depth int) Scanner {
	return Scanner{text: text, depth: depth}
}

// Peek returns the byte that the next value begins with, and 0 at the end of the text.
func (s *Scanner) Peek() byte {
	s.at = skipSpace(s.text, s.at)
	if s.at >= len(s.text) {
		return 0
	}
	return s.text[s.at]
}

// Value takes the next value, whatever it is, and returns its text.
func (s *Scanner) Value() ([]byte, error) {
	start := skipSpace(s.text, s.at)
	end, err := skipValue(s.text, start, s.depth)
	if err != nil {
		return nil, err
	}
	s.at = end
	return s.text[start:end:end], nil
}

// Text takes the next value, a string, and returns its content with the escapes in it (see [Unquote]).
func (s *Scanner) Text() ([]byte, error) {
	start := skipSpace(s.text, s.at)
	if start >= len(s.text) || s.text[start] != '"' {
		return nil, syntaxError(s.text, start, "a string")
	}
	end, err := skipString(s.text, start)
	if err != nil {
		return nil, err
	}
	s.at = end
	return s.text[start+1 : end-1 : end-1], nil
}

// Enter steps into the next value, which must begin with open, a brace or a bracket. [Scanner.Key] or
// [Scanner.Element] come next, until they tell that there is no more.
func (s *Scanner) Enter(open byte) error {
	start := skipSpace(s.text, s.at)
	if start >= len(s.text) || s.text[start] != open {
		return syntaxError(s.text, start, string(open))
	}
	if s.depth == 0 {
		return ErrDepth
	}
	s.depth--
	s.at = start + 1
	return nil
}

// Element steps to the next element of the array that the scanner is in; first is true for the first one.
// Behind the last element it leaves the array and more is false.
func (s *Scanner) Element(first bool) (more bool, err error) {
	return s.next(first, ']', "a comma or ]")
}

// Key takes the next key of the object that the scanner is in, as it stands in the text; its value is next.
// Behind the last member it leaves the object and more is false.
func (s *Scanner) Key(first bool) (key []byte, more bool, err error) {
	if more, err = s.next(first, '}', "a comma or }"); err != nil || !more {
		return nil, false, err
	}
	if key, err = s.Text(); err != nil {
		return nil, false, err
	}
	colon := skipSpace(s.text, s.at)
	if colon >= len(s.text) || s.text[colon] != ':' {
		return nil, false, syntaxError(s.text, colon, "a colon")
	}
	s.at = colon + 1
	return key, true, nil
}

func (s *Scanner) next(first bool, closing byte, want string) (bool, error) {
	i := skipSpace(s.text, s.at)
	switch {
	case i < len(s.text) && s.text[i] == closing:
		s.at = i + 1
		s.depth++
		return false, nil
	case first:
		s.at = i
		return true, nil
	case i < len(s.text) && s.text[i] == ',':
		s.at = i + 1
		return true, nil
	}
	return false, syntaxError(s.text, i, want)
}

// End checks that nothing but blanks follows.
func (s *Scanner) End() error {
	if i := skipSpace(s.text, s.at); i != len(s.text) {
		return syntaxError(s.text, i, "the end")
	}
	return nil
}
