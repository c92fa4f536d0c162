package wire

import (
	"fmt"

	"github.com/goslo/goslo/internal/msgpack"
)

// appendMsgpackReply appends the whole body of a reply whose Result and whose failure's Args and Kwargs are
// msgpack.
func appendMsgpackReply(dst []byte, r *Reply) []byte {
	dst = appendMsgpackVersion(msgpack.AppendMapLen(dst, 6))
	dst = msgpack.AppendString(dst, "result")
	if r.Failure == nil {
		dst = appendMsgpackValue(dst, r.Result)
		dst = msgpack.AppendNil(msgpack.AppendString(dst, "failure"))
	} else {
		dst = msgpack.AppendNil(dst)
		dst = r.Failure.appendMsgpack(msgpack.AppendString(dst, "failure"))
	}
	dst = msgpack.AppendBool(msgpack.AppendString(dst, "ending"), r.Ending)
	dst = appendMsgpackFromJSON(msgpack.AppendString(dst, "_msg_id"), r.MsgID)
	return appendMsgpackText(dst, "_unique_id", r.UniqueID)
}

func (f *Failure) appendMsgpack(dst []byte) []byte {
	dst = msgpack.AppendMapLen(dst, 6)
	dst = appendMsgpackText(dst, "class", f.Class)
	dst = appendMsgpackText(dst, "module", f.Module)
	dst = appendMsgpackText(dst, "message", f.Message)
	dst = msgpack.AppendArrayLen(msgpack.AppendString(dst, "tb"), len(f.Traceback))
	for _, line := range f.Traceback {
		dst = msgpack.AppendString(dst, line)
	}
	dst = msgpack.AppendString(dst, "args")
	if f.Args == nil {
		dst = msgpack.AppendArrayLen(dst, 0)
	}
	dst = msgpack.AppendString(append(dst, f.Args...), "kwargs")
	if f.Kwargs == nil {
		dst = msgpack.AppendMapLen(dst, 0)
	}
	return append(dst, f.Kwargs...)
}

// decodeMsgpackReply reads the body of a reply in msgpack as [DecodeReply] reads JSON. A result that is nil
// is a nil Value.
func decodeMsgpackReply(body []byte) (*Reply, error) {
	r := &Reply{}
	var failure, msgID Value
	err := eachMsgpackMember(body, func(key, value []byte) {
		switch string(key) {
		case "result":
			r.Result = value
		case "failure":
			failure = value
		case "ending":
			r.Ending = msgpackTruthy(value)
		case "_msg_id":
			msgID = value
		case "_unique_id":
			r.UniqueID, _ = msgpackText(value)
		}
	})
	if err != nil {
		return nil, err
	}
	if r.MsgID, err = jsonOfMsgpack("_msg_id", msgID); err != nil {
		return nil, err
	}
	if r.Result != nil && msgpack.KindOf(r.Result[0]) == msgpack.Nil {
		r.Result = nil
	}
	if msgpackTruthy(failure) {
		r.Failure = decodeMsgpackFailure(failure)
		r.Result = nil
	}
	return r, nil
}

// msgpackTruthy is Python's truth of a value: everything but nil, false, zero and what is empty.
func msgpackTruthy(v Value) bool {
	if v == nil {
		return false
	}
	s := msgpack.NewScanner(v, 1)
	n := 0
	switch kind := s.Peek(); kind {
	case msgpack.Bool:
		truth, _ := s.Bool()
		return truth
	case msgpack.Integer:
		number, _ := s.Int()
		return number != msgpack.Int{}
	case msgpack.Float:
		f, _ := s.Float()
		return f != 0
	case msgpack.String:
		text, _ := s.Text()
		n = len(text)
	case msgpack.Bytes:
		data, _ := s.Bytes()
		n = len(data)
	case msgpack.Array, msgpack.Map:
		n, _ = s.Enter(kind)
	case msgpack.Extension:
		return true
	case msgpack.Nil, msgpack.None:
	}
	return n > 0
}

// decodeMsgpackFailure reads a failure, which is checked already. What is no map counts as one of class
// RemoteError: the caller learns that its call failed.
func decodeMsgpackFailure(value Value) *Failure {
	if text, ok := msgpackText(value); ok {
		return &Failure{Class: remoteError, Message: text}
	}
	if msgpack.KindOf(value[0]) != msgpack.Map {
		text, err := msgpack.AppendJSON(nil, value)
		if err != nil {
			text = fmt.Appendf(nil, "%x", value)
		}
		return &Failure{Class: remoteError, Message: fmt.Sprintf("the failure is %s, not an object: %s", msgpackKind(value), text)}
	}
	f := &Failure{}
	_ = eachMapMember(value, func(key, value []byte) { // there is no error in it
		switch string(key) {
		case "class":
			f.Class, _ = msgpackText(value)
		case "module":
			f.Module, _ = msgpackText(value)
		case "message":
			f.Message, _ = msgpackText(value)
		case "tb":
			f.Traceback = msgpackTraceback(value)
		case "args":
			if msgpack.KindOf(value[0]) == msgpack.Array {
				f.Args = value
			}
		case "kwargs":
			if msgpack.KindOf(value[0]) == msgpack.Map {
				f.Kwargs = value
			}
		}
	})
	return f
}

// msgpackTraceback reads a list of strings; a bare string is one line of it.
func msgpackTraceback(value Value) []string {
	if text, ok := msgpackText(value); ok {
		return []string{text}
	}
	s := msgpack.NewScanner(value, msgpack.MaxDepth)
	n, err := s.Enter(msgpack.Array)
	if err != nil {
		return nil
	}
	var tb []string
	for range n {
		line, err := s.Value()
		if err != nil {
			return tb
		}
		if text, ok := msgpackText(line); ok {
			tb = append(tb, text)
		}
	}
	return tb
}
