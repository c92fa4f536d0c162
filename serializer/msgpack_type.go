package serializer

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// UUID is a Python uuid.UUID, which travels as an extension in msgpack and as text in JSON. Types of other
// libraries travel as text in both, and read it from both.
type UUID [16]byte

// String is the usual text: 01234567-89ab-cdef-0123-456789abcdef.
func (u UUID) String() string {
	text := hex.EncodeToString(u[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// MarshalText returns what [UUID.String] does.
func (u UUID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText reads 32 hexadecimal digits, with the four dashes or without any.
func (u *UUID) UnmarshalText(text []byte) error {
	digits := text
	if len(text) == 36 && text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-' {
		digits = append(append(append(append(append(make([]byte, 0, 32), text[:8]...), text[9:13]...), text[14:18]...), text[19:23]...), text[24:]...)
	}
	var parsed UUID
	if n, err := hex.Decode(parsed[:], clipped(digits, 32)); err != nil || len(digits) != 32 || n != len(parsed) {
		return fmt.Errorf("want a UUID, got %q", clip(text))
	}
	*u = parsed
	return nil
}

func clipped(text []byte, n int) []byte { return text[:min(len(text), n)] }

// Date is a Python datetime.date: a day without a time and a place. The zero value is no date and is not
// encoded; a field that may lack a date is a *Date, or has the tag omitzero.
type Date struct {
	Year  int // from 1 to 9999
	Month time.Month
	Day   int
}

var errNoDate = errors.New("no date that Python knows")

func (d Date) valid() bool {
	year, month, day := d.Time().Date()
	return d == Date{year, month, day} && year >= 1 && year <= 9999
}

// Time is the beginning of the day in UTC.
func (d Date) Time() time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }

// String is the text of ISO 8601: 2024-01-02.
func (d Date) String() string { return d.Time().Format(time.DateOnly) }

// MarshalText returns what [Date.String] does; an error where there is no such day.
func (d Date) MarshalText() ([]byte, error) {
	if !d.valid() {
		return nil, errNoDate
	}
	return []byte(d.String()), nil
}

// UnmarshalText reads what [Date.String] writes.
func (d *Date) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.DateOnly, string(clipped(text, len(time.DateOnly)+1)))
	if err != nil || t.Year() < 1 {
		return fmt.Errorf("want a date, got %q", clip(text))
	}
	d.Year, d.Month, d.Day = t.Date()
	return nil
}

// Count is a Python itertools.count: the numbers Start, Start+Step and so on without end.
type Count struct {
	Start int64 `json:"start"`
	Step  int64 `json:"step"`
}

// Set is a list that is a set to Python: its elements are hashable there and none is there twice, which the
// sender sees to. Python's order is any. In JSON it is an array.
type Set[T any] []T

// FrozenSet is a [Set] that is a frozenset to Python, and may thus be an element of one.
type FrozenSet[T any] []T

func (Set[T]) setID() int8       { return extSet }
func (FrozenSet[T]) setID() int8 { return extFrozenSet }

// Extension is a msgpack extension value that goslo does not know; decoding into a target of this type keeps
// those that it knows as they came, too. Applications of oslo.serialization use the types from 33 to 127.
type Extension struct {
	Type int8
	Data []byte
}
