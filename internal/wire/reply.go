package wire

import (
	"fmt"

	"github.com/goslo/goslo/internal/pyjson"
)

// Reply is an answer to a call, or a sign of life while it runs.
type Reply struct {
	// MsgID is the id of the call.
	MsgID Value
	// Result is what the method returned, in JSON; nil is null.
	Result Value
	// Failure tells how the method failed; nil where it did not.
	Failure *Failure
	// Ending is true on the last message of a call. Without it, and without result and failure, the message
	// is a heartbeat.
	Ending bool
	// UniqueID is fresh for every send.
	UniqueID string
	// ContentType tells how the body, Result and the values of Failure are encoded; empty is JSON.
	ContentType string
}

// Heartbeat reports whether the reply only says that the method still runs.
func (r *Reply) Heartbeat() bool {
	return !r.Ending && r.Failure == nil && r.Result.Null()
}

// AppendReply appends the whole body of a reply, encoded as its ContentType says, with all five keys: a Python
// caller fails without them.
func AppendReply(dst []byte, r *Reply) []byte {
	if r.ContentType == ContentTypeMsgpack {
		return appendMsgpackReply(dst, r)
	}
	dst = append(dst, envelopeOpen...)
	dst = append(dst, `\"result\": `...)
	if r.Failure == nil {
		dst = appendValue(dst, r.Result)
		dst = append(dst, `, \"failure\": null`...)
	} else {
		dst = append(dst, `null, \"failure\": `...)
		dst = pyjson.AppendNestedString(dst, r.Failure.append(nil))
	}
	dst = append(dst, `, \"ending\": `...)
	if r.Ending {
		dst = append(dst, `true`...)
	} else {
		dst = append(dst, `false`...)
	}
	dst = append(dst, `, \"_msg_id\": `...)
	dst = appendValue(dst, r.MsgID)
	dst = append(dst, `, \"_unique_id\": `...)
	dst = pyjson.AppendNestedString(dst, r.UniqueID)
	return append(dst, envelopeClose...)
}

// DecodeReply reads the body of a reply in JSON, taking body over. The error matches [ErrMalformed] where the body is
// no message. A failure that cannot be read is returned as one of class RemoteError, with what was sent as
// its message: the caller learns that its call failed.
func DecodeReply(body []byte) (*Reply, error) {
	members, err := open(body)
	if err != nil {
		return nil, err
	}
	r := &Reply{}
	var failure Value
	err = eachMember(members, func(key, value []byte) {
		switch string(key) {
		case "result":
			r.Result = value
		case "failure":
			failure = value
		case "ending":
			r.Ending = Value(value).Truthy()
		case "_msg_id":
			r.MsgID = value
		case "_unique_id":
			r.UniqueID, _ = pyjson.Text(value)
		}
	})
	if err != nil {
		return nil, err
	}
	if failure.Truthy() {
		r.Failure = decodeFailure(failure)
		r.Result = nil
	}
	return r, nil
}

// Failure is an exception of the endpoint, as oslo.messaging serializes it.
type Failure struct {
	// Class and Module name the exception class; builtin ones are in module "builtins".
	Class, Module string
	// Message is the exception's text.
	Message string
	// Traceback holds formatted lines, each ending in a line break.
	Traceback []string
	// Args is the JSON array the exception was made with; nil is an empty one.
	Args Value
	// Kwargs is the JSON object of the exception's kwargs attribute; nil is an empty one.
	Kwargs Value
}

func (f *Failure) append(dst []byte) []byte {
	dst = append(dst, `{"class": `...)
	dst = pyjson.AppendString(dst, f.Class)
	dst = append(dst, `, "module": `...)
	dst = pyjson.AppendString(dst, f.Module)
	dst = append(dst, `, "message": `...)
	dst = pyjson.AppendString(dst, f.Message)
	dst = append(dst, `, "tb": [`...)
	for i, line := range f.Traceback {
		if i > 0 {
			dst = append(dst, `, `...)
		}
		dst = pyjson.AppendString(dst, line)
	}
	dst = append(dst, `], "args": `...)
	dst = appendOr(dst, f.Args, "[]")
	dst = append(dst, `, "kwargs": `...)
	dst = appendOr(dst, f.Kwargs, "{}")
	return append(dst, '}')
}

func appendOr(dst []byte, v Value, empty string) []byte {
	if v == nil {
		return append(dst, empty...)
	}
	return append(dst, v...)
}

// remoteError is the class that oslo.messaging falls back to.
const remoteError = "RemoteError"

func decodeFailure(value Value) *Failure {
	if value[0] != '"' {
		return &Failure{Class: remoteError, Message: fmt.Sprintf("the failure is %s, not a string: %s", kind(value), value)}
	}
	text := pyjson.UnquoteInPlace(value[1 : len(value)-1])
	f, err := parseFailure(text)
	if err != nil {
		return &Failure{Class: remoteError, Message: string(text)}
	}
	return f
}

func parseFailure(text []byte) (*Failure, error) {
	members, err := object("failure", text)
	if err != nil {
		return nil, err
	}
	f := &Failure{}
	err = eachMember(members, func(key, value []byte) {
		switch string(key) {
		case "class":
			f.Class, _ = pyjson.Text(value)
		case "module":
			f.Module, _ = pyjson.Text(value)
		case "message":
			f.Message, _ = pyjson.Text(value)
		case "tb":
			f.Traceback = traceback(value)
		case "args":
			if value[0] == '[' {
				f.Args = value
			}
		case "kwargs":
			if value[0] == '{' {
				f.Kwargs = value
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if f.Module == "exceptions" { // Python 2's name for builtins
		f.Module = "builtins"
	}
	return f, nil
}

// traceback reads a list of strings; a bare string is one line of it.
func traceback(value Value) []string {
	if text, ok := value.Text(); ok {
		return []string{text}
	}
	lines, err := pyjson.NewArray(value)
	if err != nil {
		return nil
	}
	var tb []string
	for {
		line, more, err := lines.Next()
		if err != nil || !more {
			return tb
		}
		if text, ok := pyjson.Text(line); ok {
			tb = append(tb, text)
		}
	}
}
