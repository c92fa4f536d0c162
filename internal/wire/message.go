package wire

import (
	"fmt"
	"math"
	"time"
)

// Content types of bodies. A Python peer rejects any but the first.
const (
	ContentTypeJSON    = "application/json"
	ContentTypeMsgpack = "application/msgpack"
)

// ContentEncoding is that AMQP property of every message.
const ContentEncoding = "utf-8"

// DeadlineHeader is the AMQP header that tells when the caller of a request stops waiting, in milliseconds since
// 1970 (a signed 64-bit integer). It is goslo's own; oslo.messaging ignores headers that it does not know.
const DeadlineHeader = "goslo.deadline"

// AttemptHeader is the AMQP header of a request that a server has put back onto its queue: the number of the
// delivery that it is for (a signed 64-bit integer). It is goslo's own.
const AttemptHeader = "goslo.attempt"

// Properties are what AMQP says about a message beside its body.
type Properties struct {
	// ContentType tells how the body is encoded.
	ContentType string
	// Compression is the header of that name; empty where the body is not compressed.
	Compression string
	// Deadline is what DeadlineHeader says; zero where it is absent.
	Deadline time.Time
	// UserID is the AMQP property of that name: the broker's user that published, as the broker has checked.
	UserID string
}

// Deadline reads the value of DeadlineHeader as AMQP libraries hand it over; it is zero for what is none.
func Deadline(header any) time.Time {
	if ms, ok := header.(int64); ok && ms > 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

// Attempt reads the value of AttemptHeader; it is 1 for what is none, a first attempt.
func Attempt(header any) int {
	if n, ok := header.(int64); ok && n > 1 && n <= math.MaxInt32 {
		return int(n)
	}
	return 1
}

// ReadRequest decompresses and reads a request by its properties. It takes body over. The error matches
// [ErrMalformed], also for a content type that is neither of the two to the letter.
func ReadRequest(p Properties, body []byte) (*Request, error) {
	r, err := read(p, body, DecodeRequest, decodeMsgpackRequest)
	if err != nil {
		return nil, err
	}
	r.ContentType, r.Deadline, r.UserID = p.ContentType, p.Deadline, p.UserID
	return r, nil
}

// ReadReply does for a reply what [ReadRequest] does for a request.
func ReadReply(p Properties, body []byte) (*Reply, error) {
	r, err := read(p, body, DecodeReply, decodeMsgpackReply)
	if err != nil {
		return nil, err
	}
	r.ContentType = p.ContentType
	return r, nil
}

func read[Message any](p Properties, body []byte, json, msgpack func([]byte) (*Message, error)) (*Message, error) {
	decode := json
	switch p.ContentType {
	case ContentTypeJSON:
	case ContentTypeMsgpack:
		decode = msgpack
	default:
		return nil, fmt.Errorf("%w: content type %.256q, want %s or %s", ErrMalformed, p.ContentType, ContentTypeJSON, ContentTypeMsgpack)
	}
	body, err := Decompress(p.Compression, body)
	if err != nil {
		return nil, err
	}
	return decode(body)
}
