package wire_test

import (
	"encoding/json"
	"testing"

	"github.com/goslo/goslo/internal/wire"
)

// benchArgs is about 1 KiB of arguments as a scheduler gets them.
const benchArgs = `{"context_hint": null, "request_spec": {"instance_uuid": "b7a3e2f4-0c1d-4e5f-8a9b-1c2d3e4f5a6b", ` +
	`"project_id": "6f70656e737461636b2d70726f6a6563", "availability_zone": "nova", "num_instances": 2, "is_bfv": false, ` +
	`"flavor": {"name": "m1.large", "memory_mb": 8192, "vcpus": 4, "root_gb": 80, "ephemeral_gb": 0, "swap": 0, "rxtx_factor": 1.0, "is_public": true, ` +
	`"extra_specs": {"hw:cpu_policy": "dedicated", "hw:mem_page_size": "large", "quota:disk_total_bytes_sec": "104857600"}}, ` +
	`"image": {"id": "4a5b6c7d-8e9f-4a0b-9c1d-2e3f4a5b6c7d", "name": "p\u0159\u00edli\u0161 \u017elu\u0165ou\u010dk\u00fd", "size": 2147483648, "min_ram": 512}, ` +
	`"ignore_hosts": ["compute-01.example.org", "compute-02.example.org", "compute-03.example.org"], ` +
	`"scheduler_hints": {"group": ["affinity-7"], "same_host": ["b7a3e2f4-0c1d-4e5f-8a9b-1c2d3e4f5a6c"]}, ` +
	`"limits": {"memory_mb": 245760.0, "vcpu": 128, "disk_gb": 20000}}, "return_objects": true, "return_alternates": true}`

func benchRequest() *wire.Request {
	r := &wire.Request{
		Method: "select_destinations", Args: wire.Value(benchArgs), Namespace: wire.Some("scheduler"), Version: wire.Some("4.5"),
		MsgID: wire.TextValue(wire.NewID()), ReplyQueue: "reply_" + wire.NewID(), UniqueID: wire.NewID(),
	}
	for _, entry := range [][2]string{
		{"user", `"1f0e9d8c7b6a5f4e3d2c1b0a99887766"`},
		{"project_id", `"6f70656e737461636b2d70726f6a6563"`},
		{"is_admin", `true`},
		{"read_deleted", `"no"`},
		{"roles", `["member", "reader", "admin"]`},
		{"remote_address", `"10.0.0.17"`},
		{"timestamp", `"2024-01-02T03:04:05.678901"`},
		{"request_id", `"req-b7a3e2f4-0c1d-4e5f-8a9b-1c2d3e4f5a6b"`},
		{"quota_class", `null`},
		{"service_catalog", `[{"type": "volumev3", "endpoints": []}]`},
	} {
		r.Context = append(r.Context, wire.ContextEntry{Key: entry[0], Value: wire.Value(entry[1])})
	}
	return r
}

func benchReply() *wire.Reply {
	return &wire.Reply{MsgID: wire.TextValue(wire.NewID()), Result: wire.Value(benchArgs), Ending: true, UniqueID: wire.NewID()}
}

// stdEnvelope is the message as encoding/json takes it apart, with the values left as text too.
type stdEnvelope struct {
	Version string `json:"oslo.version"`
	Message string `json:"oslo.message"`
}

func stdDecode(body []byte) (map[string]json.RawMessage, error) {
	var envelope stdEnvelope
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, err
	}
	var message map[string]json.RawMessage
	err := json.Unmarshal([]byte(envelope.Message), &message)
	return message, err
}

func stdEncode(message any) error {
	inner, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = json.Marshal(stdEnvelope{"2.0", string(inner)})
	return err
}

// run measures the same work done by goslo and by encoding/json.
func run(b *testing.B, size int, ours, std func() error) {
	b.Helper()
	for _, codec := range []struct {
		name string
		work func() error
	}{{"goslo", ours}, {"encoding_json", std}} {
		b.Run(codec.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if err := codec.work(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	r := benchRequest()
	body := wire.AppendRequest(nil, r)
	message, err := stdDecode(append([]byte(nil), body...))
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, len(body))
	run(b, len(body), func() error {
		buf = wire.AppendRequest(buf[:0], r)
		return nil
	}, func() error {
		return stdEncode(message)
	})
}

func BenchmarkDecodeRequest(b *testing.B) {
	body := wire.AppendRequest(nil, benchRequest())
	buf := make([]byte, len(body))
	run(b, len(body), func() error {
		copy(buf, body) // the decoder writes into it
		_, err := wire.DecodeRequest(buf)
		return err
	}, func() error {
		_, err := stdDecode(body)
		return err
	})
}

func BenchmarkAppendReply(b *testing.B) {
	r := benchReply()
	body := wire.AppendReply(nil, r)
	message, err := stdDecode(append([]byte(nil), body...))
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, len(body))
	run(b, len(body), func() error {
		buf = wire.AppendReply(buf[:0], r)
		return nil
	}, func() error {
		return stdEncode(message)
	})
}

func BenchmarkDecodeReply(b *testing.B) {
	body := wire.AppendReply(nil, benchReply())
	buf := make([]byte, len(body))
	run(b, len(body), func() error {
		copy(buf, body)
		_, err := wire.DecodeReply(buf)
		return err
	}, func() error {
		_, err := stdDecode(body)
		return err
	})
}
