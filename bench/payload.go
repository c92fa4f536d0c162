package main

import (
	"strings"

	"github.com/goslo/goslo/messaging"
)

// topic is where both servers listen: goslo's on exchange openstack, the hand-written one on a queue of its own.
const (
	topic    = "goslo-bench"
	rawQueue = "goslo-bench-raw"
	method   = "echo"
)

// echoArgs are the arguments of the method that is called.
type echoArgs struct {
	Payload string `json:"payload"`
}

func payload(size int) string { return strings.Repeat("x", size) }

// requestContext has ten keys, as a service's usually has.
func requestContext() messaging.RequestContext {
	return messaging.RequestContext{
		"user_id": "5e2b1f7d4c0a4d8e9f6b3a2c1d0e9f8a", "project_id": "0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d",
		"request_id": "req-3f2504e0-4f89-41d3-9a0c-0305e82c3301", "global_request_id": nil, "auth_token": nil,
		"roles": []string{"admin", "reader"}, "is_admin": true, "read_only": false, "show_deleted": false,
		"timestamp": "2026-01-02T03:04:05.678901",
	}
}

// Bodies of the lengths that goslo's messages have, for who does not encode: measured, the envelope and the
// context of a request take 737 bytes, the envelope of a reply 190 (payload_test.go).
func rawRequest(size int) []byte { return []byte(payload(size + 737)) }
func rawReply(size int) []byte   { return []byte(payload(size + 190)) }
