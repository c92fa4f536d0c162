package wire

// The codec of whole messages in msgpack, until content types choose between the two.
var (
	AppendMsgpackRequest = appendMsgpackRequest
	DecodeMsgpackRequest = decodeMsgpackRequest
	AppendMsgpackReply   = appendMsgpackReply
	DecodeMsgpackReply   = decodeMsgpackReply
)
