package wire

import (
	"fmt"

	"github.com/goslo/goslo/internal/msgpack"
)

// The version mark of a message in msgpack. It counts what a reader of the version before would misread; a
// key that such a reader may ignore does not count.
const (
	msgpackVersionKey = "goslo.version"
	msgpackVersion    = 1
)

// appendMsgpackRequest appends the whole body of a request whose Args and context values are msgpack.
func appendMsgpackRequest(dst []byte, r *Request) []byte {
	dst = appendMsgpackVersion(msgpack.AppendMapLen(dst, r.msgpackMembers()))
	dst = appendMsgpackText(dst, "method", r.Method)
	dst = msgpack.AppendString(dst, "args")
	if len(r.Args) == 0 {
		dst = msgpack.AppendMapLen(dst, 0)
	} else {
		dst = append(dst, r.Args...)
	}
	dst = appendMsgpackOptional(dst, "namespace", r.Namespace)
	dst = appendMsgpackOptional(dst, "version", r.Version)
	if r.Call() {
		dst = appendMsgpackFromJSON(msgpack.AppendString(dst, "_msg_id"), r.MsgID)
		dst = appendMsgpackText(dst, "_reply_q", r.ReplyQueue)
		dst = appendMsgpackFromJSON(msgpack.AppendString(dst, "_timeout"), r.MonitorTimeout)
	}
	if r.UniqueID != "" {
		dst = appendMsgpackText(dst, "_unique_id", r.UniqueID)
	}
	for i := range r.Context {
		entry := &r.Context[i]
		dst = msgpack.AppendString(dst, contextPrefix+entry.Key)
		dst = appendMsgpackValue(dst, entry.Value)
	}
	return dst
}

// msgpackMembers is how many members appendMsgpackRequest writes.
func (r *Request) msgpackMembers() int {
	n := 3 + len(r.Context) // version mark, method, args
	if r.Namespace.State != Absent {
		n++
	}
	if r.Version.State != Absent {
		n++
	}
	if r.Call() {
		n += 3
	}
	if r.UniqueID != "" {
		n++
	}
	return n
}

func appendMsgpackVersion(dst []byte) []byte {
	return msgpack.AppendInt(msgpack.AppendString(dst, msgpackVersionKey), msgpackVersion)
}

func appendMsgpackText(dst []byte, key, text string) []byte {
	return msgpack.AppendString(msgpack.AppendString(dst, key), text)
}

func appendMsgpackOptional(dst []byte, key string, o Optional) []byte {
	switch o.State {
	case Absent:
		return dst
	case Null:
		return msgpack.AppendNil(msgpack.AppendString(dst, key))
	case Present:
	}
	return appendMsgpackText(dst, key, o.Text)
}

func appendMsgpackValue(dst []byte, v Value) []byte {
	if v == nil {
		return msgpack.AppendNil(dst)
	}
	return append(dst, v...)
}

// appendMsgpackFromJSON appends the msgpack form of a JSON value. One that has none (an integer of more than
// 64 bits, which no message in msgpack can have brought) is sent as its text.
func appendMsgpackFromJSON(dst []byte, v Value) []byte {
	if v == nil {
		return msgpack.AppendNil(dst)
	}
	out, err := msgpack.AppendFromJSON(dst, v, msgpack.MaxDepth-1)
	if err != nil {
		return msgpack.AppendString(dst, []byte(v))
	}
	return out
}

// decodeMsgpackRequest reads the body of a request in msgpack, taking body over: the values of the request lie
// in it. It fails where [DecodeRequest] does, and sets the same faults.
func decodeMsgpackRequest(body []byte) (*Request, error) {
	r := &Request{}
	context := contextReader{entries: make([]ContextEntry, 0, 8)}
	var method, namespace, version, msgID, timeout Value
	err := eachMsgpackMember(body, func(key, value []byte) {
		switch string(key) {
		case "method":
			method = value
		case "args":
			r.Args = value
		case "namespace":
			namespace = value
		case "version":
			version = value
		case "_msg_id":
			msgID = value
		case "_reply_q":
			r.ReplyQueue, _ = msgpackText(value)
		case "_timeout":
			timeout = value
		case "_unique_id":
			r.UniqueID, _ = msgpackText(value)
		default:
			context.add(key, value)
		}
	})
	if err != nil {
		return nil, err
	}
	for _, optional := range []struct {
		to    *Optional
		key   string
		value Value
	}{{&r.Namespace, "namespace", namespace}, {&r.Version, "version", version}} {
		if *optional.to, err = msgpackOptional(optional.key, optional.value); err != nil {
			return nil, err
		}
	}
	if r.MsgID, err = jsonOfMsgpack("_msg_id", msgID); err != nil {
		return nil, err
	}
	if r.MonitorTimeout, err = jsonOfMsgpack("_timeout", timeout); err != nil {
		return nil, err
	}
	r.Context = context.entries
	r.checkMsgpackMembers(method)
	return r, nil
}

// eachMsgpackMember calls f for every member of a message whose key is a string, and checks all of it.
func eachMsgpackMember(body []byte, f func(key, value []byte)) error {
	if len(body) > MaxSize {
		return ErrTooLarge
	}
	var version Value
	err := eachMapMember(body, func(key, value []byte) {
		if string(key) == msgpackVersionKey {
			version = value
			return
		}
		f(key, value)
	})
	if err != nil {
		return malformed("message", err)
	}
	return checkMsgpackVersion(version)
}

// eachMapMember calls f for every member of a map whose key is a string, and checks its end.
func eachMapMember(object []byte, f func(key, value []byte)) error {
	s := msgpack.NewScanner(object, msgpack.MaxDepth)
	n, err := s.Enter(msgpack.Map)
	if err != nil {
		return err
	}
	for range n {
		var key []byte
		if s.Peek() == msgpack.String {
			key, err = s.Text()
		} else {
			_, err = s.Value()
		}
		if err != nil {
			return err
		}
		value, err := s.Value()
		if err != nil {
			return err
		}
		if key != nil {
			f(key, value)
		}
	}
	return s.End()
}

func checkMsgpackVersion(value Value) error {
	s := msgpack.NewScanner(value, 0)
	if n, err := s.Int(); err == nil {
		if version, ok := n.Int64(); ok && version == msgpackVersion {
			return nil
		}
	}
	if value == nil {
		return fmt.Errorf("%w: no %s", ErrMalformed, msgpackVersionKey)
	}
	text, err := jsonOfMsgpack(msgpackVersionKey, value)
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %s is %.40s, want %d", ErrMalformed, msgpackVersionKey, text, msgpackVersion)
}

// jsonOfMsgpack is the JSON form of one of the values that a Request or Reply has in JSON, whatever its codec.
// Binary data and extensions have none: the error matches [ErrMalformed].
func jsonOfMsgpack(key string, value Value) (Value, error) {
	if value == nil {
		return nil, nil
	}
	text, err := msgpack.AppendJSON(nil, value)
	if err != nil {
		return nil, malformed(key, err)
	}
	return text, nil
}

func msgpackOptional(key string, value Value) (Optional, error) {
	if value == nil {
		return Optional{}, nil
	}
	if text, ok := msgpackText(value); ok {
		return Some(text), nil
	}
	text, err := jsonOfMsgpack(key, value)
	if err != nil {
		return Optional{}, err
	}
	return optional(text), nil
}

func msgpackText(value Value) (string, bool) {
	s := msgpack.NewScanner(value, 0)
	text, err := s.Text()
	return string(text), err == nil
}

func (r *Request) checkMsgpackMembers(method Value) {
	name, isText := msgpackText(method)
	r.Method = name
	switch {
	case method == nil:
		r.Fault = "the message has no method"
	case !isText:
		r.Fault = "method must be a string, not " + msgpackKind(method)
	case r.Args != nil && msgpack.KindOf(r.Args[0]) != msgpack.Map:
		r.Fault = "args must be an object, not " + msgpackKind(r.Args)
	}
}

// msgpackKind names the type of a value as [kind] does.
func msgpackKind(v Value) string {
	switch msgpack.KindOf(v[0]) {
	case msgpack.Nil, msgpack.None:
		return "null"
	case msgpack.Bool:
		return "a boolean"
	case msgpack.Integer, msgpack.Float:
		return "a number"
	case msgpack.String:
		return "a string"
	case msgpack.Bytes:
		return "binary data"
	case msgpack.Array:
		return "an array"
	case msgpack.Map:
		return "an object"
	case msgpack.Extension:
	}
	return "an extension"
}
