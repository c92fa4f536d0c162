//go:build integration

package integration_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/messaging"
)

func TestAdhocLongNames(t *testing.T) {
	b := newBus(t)
	p := join(t, b.url)
	p.serve(t, b.target("host1"), newEndpoints("host1", make(chan note, 10))...)
	c := p.client(t, b, messaging.WithTimeout(5*time.Second))
	long := strings.Repeat("x", 300)
	try := func(what string, f func() error) {
		begun := time.Now()
		err := f()
		t.Log(what, time.Since(begun), err)
	}
	good := func() error { return c.Call(t.Context(), "who", nil, nil) }
	try("good", good)
	try("too long result", func() error { return c.Call(t.Context(), "blob", args{"size": 17 << 20}, nil) })
	try("good", good)
	for name, to := range map[string]messaging.Target{
		"exchange": {Exchange: long, Topic: "t"}, "topic": {Exchange: b.exchange, Topic: long}, "server": {Exchange: b.exchange, Topic: b.topic, Server: long},
		"amq.": {Exchange: "amq.nope", Topic: "t"}, "nul": {Exchange: "a\x00b", Topic: "t"},
		"topicfan": {Exchange: b.exchange, Topic: long, Fanout: true},
	} {
		lc, err := messaging.NewClient(p.Transport, to, messaging.WithTimeout(2*time.Second))
		if err != nil {
			t.Log(err)
			continue
		}
		try("cast long "+name, func() error { return lc.Cast(context.Background(), "m", nil) })
		try("good after "+name, good)
	}
	t.Log(hookText(p.log))
}

func TestAdhocLongReplyQ(t *testing.T) {
	v := newVictim(t)
	v.lives(t)
	for _, q := range []string{strings.Repeat("x", 300), "amq.rabbitmq.reply-to", "amq.rabbitmq.reply-to.x", "a\x00b", ""} {
		v.publish(t, enveloped(t, map[string]any{"method": "who", "_msg_id": "m", "_reply_q": q, "_unique_id": unique("u")}))
		for range 30 {
			begun := time.Now()
			err := v.client.Call(t.Context(), "who", nil, nil)
			if err != nil || time.Since(begun) > 300*time.Millisecond {
				t.Log(clip(q), time.Since(begun), err)
			}
		}
	}
	t.Logf("%+v", v.server.driver.Stats())
	t.Log(hookText(v.server.log))
}
