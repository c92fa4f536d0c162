// Package wire is the message format of oslo.messaging: pure functions between bytes and the fields of a
// request, a reply and a failure.
//
// A body is a JSON object, the envelope, whose member "oslo.message" is a string that holds another JSON
// object; a failure is a string in that one. The encoder appends all levels in one pass. The decoder
// resolves the envelope's string in place, in the buffer it is given, and leaves arguments, results and
// context entries as text until somebody asks for them.
//
// The format was measured on oslo.messaging 14.0, 16.1 and 18.1
// (oslo_messaging/_drivers/common.py, amqpdriver.py; oslo_messaging/rpc/client.py).
//
// # The same messages in msgpack
//
// A body of content type application/msgpack, which goslo's peers alone understand, is one msgpack map with the
// same keys and without the nested texts: no envelope, arguments, result and context entries as they are, and
// the failure as a map of the same six keys. What JSON alone has (NaN as a word, integers beyond 64 bits) it
// has not; what msgpack alone has (binary data, extension types) may stand in values, not in _msg_id, _timeout,
// namespace and version.
//
// The key "goslo.version", an integer, marks the version of this format: 1. It is goslo's key and not
// "oslo.version", whose 2.0 tells that there is an envelope. A reader refuses a message without it or with any
// other number, and ignores keys that it does not know: the number changes only when a reader that ignores
// what is new would misunderstand the message.
//
// In a [Request] or a [Reply] that was read from msgpack the values Args, ContextEntry.Value, Result and the
// failure's Args and Kwargs are msgpack, and the methods of [Value], which know JSON, are not for them; a
// result that is nil is absent. MsgID and MonitorTimeout are JSON, whatever the codec.
package wire
