package wire

func decodeMsgpackRequest(body []byte) (*Request, error) { return nil, ErrMalformed }
func decodeMsgpackReply(body []byte) (*Reply, error)     { return nil, ErrMalformed }
func appendMsgpackRequest(dst []byte, r *Request) []byte { return dst }
func appendMsgpackReply(dst []byte, r *Reply) []byte     { return dst }
