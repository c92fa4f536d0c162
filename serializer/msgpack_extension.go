package serializer

import (
	"encoding"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/goslo/goslo/internal/msgpack"
)

// The extension types of oslo.serialization (msgpackutils.py), and the timestamp of msgpack itself. The
// content of those that are not said to be something else is a msgpack value.
const (
	extTimestamp = -1 // seconds and nanoseconds; read, never written
	extUUID      = 0  // 32 hexadecimal digits
	extTime      = 1  // a map of the parts of a datetime; key tz names its zone
	extCount     = 2  // [start, step]
	extAddr      = 3  // the address as an integer
	extSet       = 4  // an array
	extFrozenSet = 5  // an array
	extXMLTime   = 6  // as extTime; an xmlrpc.client.DateTime; read, never written
	extDate      = 7  // a map of the parts of a date
)

func packUUID(dst []byte, v reflect.Value, _ level) ([]byte, error) {
	id, _ := reflect.TypeAssert[UUID](v)
	return hex.AppendEncode(msgpack.AppendExtensionLen(dst, extUUID, 2*len(id)), id[:]), nil
}

// packTime writes the moment in UTC, which every reader knows; the name of a zone would not do for the hour
// that a clock goes back.
func packTime(dst []byte, v reflect.Value, _ level) ([]byte, error) {
	t, _ := reflect.TypeAssert[time.Time](v)
	t = t.UTC()
	year, month, day := t.Date()
	if year < 1 || year > 9999 {
		return dst, encodeError("the year " + strconv.Itoa(year) + " is none that Python knows")
	}
	hour, minute, second := t.Clock()
	var few [96]byte
	content := msgpack.AppendMapLen(few[:0], 8)
	content = packPart(content, "day", day)
	content = packPart(content, "month", int(month))
	content = packPart(content, "year", year)
	content = packPart(content, "hour", hour)
	content = packPart(content, "minute", minute)
	content = packPart(content, "second", second)
	content = packPart(content, "microsecond", t.Nanosecond()/1000)
	content = msgpack.AppendString(msgpack.AppendString(content, "tz"), "UTC")
	return msgpack.AppendExtension(dst, extTime, content), nil
}

func packPart(dst []byte, key string, n int) []byte {
	return msgpack.AppendInt(msgpack.AppendString(dst, key), int64(n))
}

func packDate(dst []byte, v reflect.Value, _ level) ([]byte, error) {
	d, _ := reflect.TypeAssert[Date](v)
	if !d.valid() {
		return dst, encodeFailure(errNoDate)
	}
	var few [32]byte
	content := msgpack.AppendMapLen(few[:0], 3)
	content = packPart(content, "year", d.Year)
	content = packPart(content, "month", int(d.Month))
	content = packPart(content, "day", d.Day)
	return msgpack.AppendExtension(dst, extDate, content), nil
}

func packCount(dst []byte, v reflect.Value, _ level) ([]byte, error) {
	c, _ := reflect.TypeAssert[Count](v)
	var few [32]byte
	content := msgpack.AppendArrayLen(few[:0], 2)
	content = msgpack.AppendInt(msgpack.AppendInt(content, c.Start), c.Step)
	return msgpack.AppendExtension(dst, extCount, content), nil
}

// packAddr writes an IPv4 address as the extension. That one tells no family, and has no room for most IPv6
// addresses (Python fails to send them): these are text.
func packAddr(dst []byte, v reflect.Value, at level) ([]byte, error) {
	addr, _ := reflect.TypeAssert[netip.Addr](v)
	if !addr.Is4() {
		return packTextMarshaler(dst, v, at)
	}
	bits := addr.As4()
	var few [8]byte
	return msgpack.AppendExtension(dst, extAddr, msgpack.AppendUint(few[:0], uint64(binary.BigEndian.Uint32(bits[:])))), nil
}

func packExtension(dst []byte, v reflect.Value, _ level) ([]byte, error) {
	e, _ := reflect.TypeAssert[Extension](v)
	return msgpack.AppendExtension(dst, e.Type, e.Data), nil
}

func newSetPacker(t reflect.Type) appendFunc {
	id := reflect.Zero(t).Interface().(interface{ setID() int8 }).setID()
	list := newListPacker(t)
	return func(dst []byte, v reflect.Value, at level) ([]byte, error) {
		start := len(dst)
		dst, err := list(dst, v, at)
		if err != nil {
			return dst, err
		}
		var few [6]byte
		return slices.Insert(dst, start, msgpack.AppendExtensionLen(few[:0], id, len(dst)-start)...), nil
	}
}

// extension reads an extension value as the Go type that goes with it.
func (u *unpacker) extension() (any, error) {
	id, data, err := u.Extension()
	if err != nil {
		return nil, decodeFailure(err)
	}
	switch id {
	case extUUID:
		return parseUUID(data)
	case extTime, extXMLTime:
		return parseTimeParts(data)
	case extTimestamp:
		return parseTimestamp(data)
	case extDate:
		return parseDateParts(data)
	case extCount:
		return parseCount(data)
	case extAddr:
		return parseAddr(data)
	case extSet:
		list, err := u.inside(data).wholeArray()
		return Set[any](list), err
	case extFrozenSet:
		list, err := u.inside(data).wholeArray()
		return FrozenSet[any](list), err
	}
	return Extension{Type: id, Data: slices.Clone(data)}, nil
}

// inside reads what an extension value holds that is a container itself.
func (u *unpacker) inside(data []byte) *unpacker {
	return &unpacker{Scanner: msgpack.NewScanner(data, u.Depth())}
}

func (u *unpacker) wholeArray() ([]any, error) {
	list, err := u.array()
	if err != nil {
		return nil, err
	}
	return list, u.end()
}

func parseUUID(data []byte) (UUID, error) {
	var id UUID
	if err := id.UnmarshalText(data); err != nil {
		return id, decodeFailure(err)
	}
	return id, nil
}

// parts reads the msgpack value that an extension of scalar meaning holds.
func parts(data []byte, v any) error {
	u := &unpacker{Scanner: msgpack.NewScanner(data, 1)}
	if err := u.decode(v); err != nil {
		return err
	}
	return u.end()
}

func parseDateParts(data []byte) (Date, error) {
	var p struct {
		Year  int        `json:"year"`
		Month time.Month `json:"month"`
		Day   int        `json:"day"`
	}
	if err := parts(data, &p); err != nil {
		return Date{}, err
	}
	d := Date{p.Year, p.Month, p.Day}
	if !d.valid() {
		return Date{}, decodeFailure(errNoDate)
	}
	return d, nil
}

func parseCount(data []byte) (Count, error) {
	var p [2]int64
	err := parts(data, &p)
	return Count{p[0], p[1]}, err
}

// parseAddr reads an address as netaddr does: an integer of 32 bits is IPv4.
func parseAddr(data []byte) (netip.Addr, error) {
	var n uint64
	if err := parts(data, &n); err != nil {
		return netip.Addr{}, err
	}
	var bits [16]byte
	binary.BigEndian.PutUint64(bits[8:], n)
	if n>>32 == 0 {
		return netip.AddrFrom4([4]byte(bits[12:])), nil
	}
	return netip.AddrFrom16(bits), nil
}

// parseTimestamp reads the three forms of msgpack's own timestamp.
func parseTimestamp(data []byte) (time.Time, error) {
	var seconds, nanoseconds int64
	switch len(data) {
	case 4:
		seconds = int64(binary.BigEndian.Uint32(data))
	case 8:
		n := binary.BigEndian.Uint64(data)
		seconds, nanoseconds = int64(n&(1<<34-1)), int64(n>>34)
	case 12:
		seconds, nanoseconds = int64(binary.BigEndian.Uint64(data[4:])), int64(binary.BigEndian.Uint32(data))
	default:
		return time.Time{}, decodeError("want a timestamp of 4, 8 or 12 bytes, got " + strconv.Itoa(len(data)))
	}
	t := time.Unix(seconds, nanoseconds).UTC()
	if year := t.Year(); nanoseconds >= int64(time.Second) || year < 1 || year > 9999 || t.Unix() != seconds {
		return time.Time{}, decodeError("a timestamp out of range")
	}
	return t, nil
}

// timeParts are those of a datetime. TZ is empty where the key is absent, nil where it is null.
type timeParts struct {
	Year        int        `json:"year"`
	Month       time.Month `json:"month"`
	Day         int        `json:"day"`
	Hour        int        `json:"hour"`
	Minute      int        `json:"minute"`
	Second      int        `json:"second"`
	Microsecond int        `json:"microsecond"`
	TZ          *string    `json:"tz"`
}

// parseTimeParts reads a datetime; one without a zone is in UTC, as everywhere in OpenStack.
func parseTimeParts(data []byte) (time.Time, error) {
	p := timeParts{TZ: new(string)}
	if err := parts(data, &p); err != nil {
		return time.Time{}, err
	}
	if p != p.of(p.in(time.UTC)) || p.Year < 1 || p.Year > 9999 {
		return time.Time{}, decodeError("no time that Python knows")
	}
	location, err := p.location()
	if err != nil {
		return time.Time{}, err
	}
	return p.in(location), nil
}

func (p timeParts) in(location *time.Location) time.Time {
	t := time.Date(p.Year, p.Month, p.Day, p.Hour, p.Minute, p.Second, p.Microsecond*1000, location)
	return winter(t)
}

// winter is the second of two moments that a clock going back shows alike: the one that Python's pytz takes.
func winter(t time.Time) time.Time {
	_, change := t.ZoneBounds()
	if !t.IsDST() || change.IsZero() {
		return t
	}
	_, before := t.Zone()
	_, after := change.Zone()
	later := t.Add(time.Duration(before-after) * time.Second)
	if later.Before(change) {
		return t
	}
	return later
}

// of are the parts of t, with the zone of p.
func (p timeParts) of(t time.Time) timeParts {
	q := timeParts{Hour: t.Hour(), Minute: t.Minute(), Second: t.Second(), Microsecond: t.Nanosecond() / 1000, TZ: p.TZ}
	q.Year, q.Month, q.Day = t.Date()
	return q
}

// longestZone is longer than all names of zones: nobody makes us look for any other file.
const longestZone = 64

func (p timeParts) location() (*time.Location, error) {
	if p.TZ == nil {
		return nil, inField(decodeError("the zone of a time must have a name"), "tz")
	}
	name := *p.TZ
	if location := fixedZone(name); location != nil {
		return location, nil
	}
	if name != "Local" && len(name) <= longestZone {
		if location, err := time.LoadLocation(name); err == nil {
			return location, nil
		}
	}
	return nil, inField(decodeError("unknown time zone "+strconv.QuoteToASCII(clip(name))), "tz")
}

// fixedZone reads what Python's timezone objects without a name are called: UTC+05:30, and +05:30 alone.
func fixedZone(name string) *time.Location {
	offset, err := time.Parse("UTC-07:00", name)
	if err != nil {
		offset, err = time.Parse("-07:00", name)
	}
	if err != nil {
		return nil
	}
	_, seconds := offset.Zone()
	return time.FixedZone(name, seconds)
}

// textOf is the text that stands for an extension value in JSON.
func textOf(v any) ([]byte, bool) {
	switch v := v.(type) {
	case time.Time:
		return v.UTC().AppendFormat(nil, timeLayout), true
	case encoding.TextMarshaler: // UUID, Date, netip.Addr
		text, err := v.MarshalText()
		return text, err == nil
	}
	return nil, false
}
