package loglimit

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxText bounds what a peer can make one field of a line say, in bytes.
	maxText = 256
	// mark ends a text that was longer.
	mark = "..."
)

// Quote makes a text that a peer has sent fit for a log or an error: one line of printable characters and at most 256
// bytes.
//
// A text that is so already, as every ordinary name is, stays as it is. Another one is quoted as Go quotes strings: line
// ends, control characters, those that turn the direction of writing and bytes that are no UTF-8 are escaped. One that is
// too long is cut, and ends in three dots, outside of the quotes where there are any.
func Quote(text string) string {
	beginning, end := text, ""
	if len(text) > maxText {
		beginning, end = upTo(text, maxText-len(mark)), mark
	}
	if utf8.ValidString(beginning) && !strings.ContainsFunc(beginning, unprintable) {
		return beginning + end
	}
	return escaped(text)
}

// upTo returns at most n bytes of the beginning of a longer text, without a part of a character at their end.
func upTo(text string, n int) string {
	for end := n; end > n-utf8.UTFMax; end-- {
		if utf8.RuneStart(text[end]) {
			return text[:end]
		}
	}
	return text[:n] // which is no UTF-8
}

func unprintable(r rune) bool { return !strconv.IsPrint(r) }

// escaped quotes as much of a text as there is room for.
func escaped(text string) string {
	const room = maxText - len(`"`) - len(mark)
	quoted := append(make([]byte, 0, maxText), '"')
	for at := 0; at < len(text); {
		_, size := utf8.DecodeRuneInString(text[at:])
		one := strings.TrimSuffix(strconv.Quote(text[at : at+size])[1:], `"`)
		if len(quoted)+len(one) > room {
			return string(quoted) + `"` + mark
		}
		quoted, at = append(quoted, one...), at+size
	}
	return string(append(quoted, '"'))
}
