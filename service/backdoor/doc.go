// Package backdoor lets an operator on the same machine look into a running service (oslo.service:
// eventlet_backdoor). It is off by default, listens on the loopback address or on a unix socket that only its owner
// may open, and answers a few commands instead of opening a shell:
//
//	$ nc 127.0.0.1 4444
//	state
//	ok
//	-- rpc server compute --
//	handling 3 of 64
//	.
//
// A reply is a status line, "ok" or "error: " and what is wrong, then a body that ends with a line of one dot, in
// which lines that begin with a dot have one more. All lines end with CR LF, as in SMTP, and
// [net/textproto.Reader.ReadDotBytes] reads a body; "base64 -di" reads the CPU profile. "help" lists the
// commands. [Config.HTTP] serves the same, and Go's profiles, over HTTP instead.
//
// Every process opens its own: with several workers use port 0, a range of ports, or {pid} in the path of a socket.
// Everybody who may log in to the machine may connect to a loopback port. Prefer the socket.
package backdoor
