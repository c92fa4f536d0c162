package wire

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/goslo/goslo/internal/pyjson"
)

// NewID returns a random UUID (version 4) as 32 hexadecimal digits, as message ids, unique ids and the names
// of private queues are made. It need not be unpredictable, only unlike all others: the runtime's generator
// is seeded from the system and takes no lock.
func NewID() string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], rand.Uint64())
	binary.BigEndian.PutUint64(raw[8:], rand.Uint64())
	raw[6] = raw[6]&0x0f | 0x40
	raw[8] = raw[8]&0x3f | 0x80
	var text [32]byte
	hex.Encode(text[:], raw[:])
	return string(text[:])
}

// TextValue is the JSON string of a text without anything to escape, such as an id.
func TextValue(id string) Value {
	v := make(Value, 0, len(id)+2)
	v = append(v, '"')
	v = append(v, id...)
	return append(v, '"')
}

// Seconds is a duration as oslo.messaging counts it: whole where it is whole, else with a fraction.
func Seconds(d time.Duration) Value {
	if d%time.Second == 0 {
		return strconv.AppendInt(nil, int64(d/time.Second), 10)
	}
	return pyjson.AppendFloat(nil, d.Seconds(), 64)
}
