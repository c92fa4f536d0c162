//go:build integration

package integration_test

import (
	"context"

	"github.com/goslo/goslo/messaging"
)

// clientFaults are the rows of the tables about clients.
var clientFaults = []clientFault{
	{
		name: "no broker answers, for long",
		play: [3]func(*scene){(*scene).toNobody, (*scene).cutWhileUnconfirmed, (*scene).cutForGood},
		call: endings{
			timesOut(messaging.ReasonNotSent), fails(atOnce, maybe, messaging.ErrConnectionLost), timesOut(messaging.ReasonUnanswered),
		},
		cast:   endings{fails(atDeadline, never, messaging.ErrNotConnected), fails(atOnce, maybe, messaging.ErrConnectionLost)},
		fanout: endings{fails(atDeadline, never, messaging.ErrNotConnected), fails(atOnce, maybe, messaging.ErrConnectionLost)},
	},
	{
		name:   "no broker answers, `WithRetry(0)`",
		play:   [3]func(*scene){(*scene).toNobodyOnce},
		call:   endings{fails(atOnce, never, messaging.ErrNotConnected), {}, {}},
		cast:   endings{fails(atOnce, never, messaging.ErrNotConnected), {}},
		fanout: endings{fails(atOnce, never, messaging.ErrNotConnected), {}},
	},
	{
		name:   "login refused",
		play:   [3]func(*scene){(*scene).wrongPassword},
		call:   endings{timesOut(messaging.ReasonNotSent), {}, {}},
		cast:   endings{fails(atDeadline, never, messaging.ErrNotConnected), {}},
		fanout: endings{fails(atDeadline, never, messaging.ErrNotConnected), {}},
	},
	{
		name:   "no such virtual host",
		play:   [3]func(*scene){(*scene).wrongHost},
		call:   endings{timesOut(messaging.ReasonNotSent), {}, {}},
		cast:   endings{fails(atDeadline, never, messaging.ErrNotConnected), {}},
		fanout: endings{fails(atDeadline, never, messaging.ErrNotConnected), {}},
	},
	{
		name:   "connection lost and made again",
		play:   [3]func(*scene){(*scene).cutBefore, (*scene).cutWhileUnconfirmed, (*scene).cutWhileRunning},
		call:   endings{succeeds(onceConnected), fails(atOnce, maybe, messaging.ErrConnectionLost), succeeds(onceConnected)},
		cast:   endings{succeeds(onceConnected), fails(atOnce, maybe, messaging.ErrConnectionLost)},
		fanout: endings{succeeds(onceConnected), fails(atOnce, maybe, messaging.ErrConnectionLost)},
	},
	{
		name:   "link half open",
		play:   [3]func(*scene){(*scene).hushedBefore, (*scene).hushed, (*scene).hushedWhileRunning},
		call:   endings{{}, fails(byHeartbeats, maybe, messaging.ErrConnectionLost), succeeds(onceConnected)},
		cast:   endings{{}, fails(byHeartbeats, maybe, messaging.ErrConnectionLost)},
		fanout: endings{succeeds(onceConnected), fails(byHeartbeats, maybe, messaging.ErrConnectionLost)},
	},
	{
		name: "broker frozen",
		play: [3]func(*scene){(*scene).frozenBefore, (*scene).frozen, (*scene).frozenWhileRunning},
		call: endings{
			timesOut(messaging.ReasonNotSent), timesOut(messaging.ReasonUnconfirmed), timesOut(messaging.ReasonUnanswered),
		},
		cast: endings{
			fails(atDeadline, never, messaging.ErrNotConnected), fails(atDeadline, maybe, messaging.ErrUnconfirmed),
		},
		fanout: endings{
			fails(atDeadline, never, messaging.ErrNotConnected), fails(atDeadline, maybe, messaging.ErrUnconfirmed),
		},
	},
	{
		name: "broker blocks (memory or disk alarm)",
		play: [3]func(*scene){(*scene).blockedBefore, (*scene).blocked, (*scene).blockedWhileRunning},
		call: endings{
			timesOut(messaging.ReasonBlocked), timesOut(messaging.ReasonUnconfirmed, messaging.ErrBlocked), succeeds(atOnce),
		},
		cast: endings{
			fails(atDeadline, never, messaging.ErrBlocked), fails(atDeadline, maybe, messaging.ErrUnconfirmed, messaging.ErrBlocked),
		},
		fanout: endings{
			fails(atDeadline, never, messaging.ErrBlocked), fails(atDeadline, maybe, messaging.ErrUnconfirmed, messaging.ErrBlocked),
		},
	},
	{
		name:   "queue full (`x-overflow=reject-publish`)",
		play:   [3]func(*scene){nil, (*scene).toFullQueue},
		call:   endings{{}, fails(atOnce, never, messaging.ErrRejected), {}},
		cast:   endings{{}, fails(atOnce, never, messaging.ErrRejected)},
		fanout: endings{{}, fails(atOnce, maybe, messaging.ErrRejected)}, // by servers whose queues were not full
	},
	{
		name:   "message longer than 16 MiB",
		play:   [3]func(*scene){(*scene).tooLong},
		call:   endings{fails(atOnce, never, messaging.ErrTooLarge), {}, {}},
		cast:   endings{fails(atOnce, never, messaging.ErrTooLarge), {}},
		fanout: endings{fails(atOnce, never, messaging.ErrTooLarge), {}},
	},
	{
		name:      "message longer than the broker takes",
		elsewhere: "TestMessagesTooLongForTheBrokerHarmOnlyTheirSenders",
		call:      endings{{}, fails(atOnce, never, messaging.ErrTooLarge), {}},
		cast:      endings{{}, fails(atOnce, never, messaging.ErrTooLarge)},
		fanout:    endings{{}, fails(atOnce, never, messaging.ErrTooLarge)},
	},
	{
		name:   "nobody listens: no queue",
		play:   [3]func(*scene){nil, (*scene).toNoQueue},
		call:   endings{{}, timesOut(messaging.ReasonNoQueue), {}},
		cast:   endings{{}, dropped},
		fanout: endings{{}, dropped},
	},
	{
		name:   "nobody listens, `WithMandatory()`",
		play:   [3]func(*scene){nil, (*scene).toNoQueueMandatory},
		call:   endings{{}, fails(atOnce, never, messaging.ErrUndeliverable), {}},
		cast:   endings{{}, fails(atOnce, never, messaging.ErrUndeliverable)},
		fanout: endings{{}, dropped},
	},
	{
		name: "queue deleted with the request in it",
		play: [3]func(*scene){nil, nil, (*scene).queueDeleted},
		call: endings{{}, {}, {reason: messaging.ReasonUnanswered, when: atDeadline, ran: never}},
	},
	{
		name:   "exchange refused: no right to make it",
		play:   [3]func(*scene){(*scene).exchangeRefused},
		call:   endings{fails(atOnce, never, messaging.ErrRejected), {}, {}},
		cast:   endings{fails(atOnce, never, messaging.ErrRejected), {}},
		fanout: endings{fails(atOnce, never, messaging.ErrRejected), {}},
	},
	{
		name:   "exchange deleted",
		play:   [3]func(*scene){nil, (*scene).exchangeDeleted},
		call:   endings{{}, fails(atOnce, never, messaging.ErrConnectionLost), {}},
		cast:   endings{{}, fails(atOnce, never, messaging.ErrConnectionLost)},
		fanout: endings{{}, dropped},
	},
	{
		name: "method runs for too long",
		play: [3]func(*scene){nil, nil, (*scene).slow},
		call: endings{{}, {}, timesOut(messaging.ReasonUnanswered)},
	},
	{
		name: "method runs for too long, `WithCallMonitor`",
		play: [3]func(*scene){nil, nil, (*scene).slowMonitored},
		call: endings{{}, {}, timesOut(messaging.ReasonUnanswered)},
	},
	{
		name: "server dies after it took the request",
		play: [3]func(*scene){nil, nil, (*scene).serverDies},
		call: endings{{}, {}, timesOut(messaging.ReasonUnanswered)},
	},
	{
		name: "server dies after it took the request, `WithCallMonitor`",
		play: [3]func(*scene){nil, nil, (*scene).serverDiesMonitored},
		call: endings{{}, {}, {reason: messaging.ReasonSilent, when: byMonitor, ran: maybe}},
	},
	{
		name: "method fails",
		play: [3]func(*scene){nil, nil, (*scene).methodFails},
		call: endings{{}, {}, {remote: true, when: atOnce, ran: once}},
	},
	{
		name: "reply malformed",
		play: [3]func(*scene){nil, nil, (*scene).replyMalformed},
		call: endings{{}, {}, timesOut(messaging.ReasonUnanswered)},
	},
	{
		name: "reply queue deleted",
		play: [3]func(*scene){(*scene).replyQueueDeletedBefore, (*scene).replyQueueDeleted, (*scene).replyQueueDeletedWhileRunning},
		call: endings{succeeds(atOnce), succeeds(onceSentAgain), succeeds(onceSentAgain)},
	},
	{
		name: "reply queue deleted during a call, its name taken",
		play: [3]func(*scene){nil, (*scene).replyQueueTaken, (*scene).replyQueueTakenWhileRunning},
		call: endings{{}, fails(byProbe, maybe, messaging.ErrReplyPathLost), fails(byProbe, maybe, messaging.ErrReplyPathLost)},
	},
	{
		name: "reply queue expired during a call, the connection being lost",
		play: [3]func(*scene){nil, nil, (*scene).replyQueueExpired},
		call: endings{{}, {}, fails(onceConnected, maybe, messaging.ErrReplyPathLost)},
	},
	{
		name: "replies do not arrive, and nothing shows it; another call times out",
		play: [3]func(*scene){nil, nil, (*scene).deaf},
		call: endings{{}, {}, fails(byProbe, maybe, messaging.ErrReplyPathLost)},
	},
	{
		name: "context cancelled",
		play: [3]func(*scene){(*scene).cancelledBefore, (*scene).cancelledWhileUnconfirmed, (*scene).cancelledWhileRunning},
		call: endings{
			fails(atOnce, never, messaging.ErrNotConnected, context.Canceled),
			fails(atOnce, maybe, messaging.ErrUnconfirmed, context.Canceled), fails(atOnce, maybe, context.Canceled),
		},
		cast: endings{
			fails(atOnce, never, messaging.ErrNotConnected, context.Canceled),
			fails(atOnce, maybe, messaging.ErrUnconfirmed, context.Canceled),
		},
		fanout: endings{
			fails(atOnce, never, messaging.ErrNotConnected, context.Canceled),
			fails(atOnce, maybe, messaging.ErrUnconfirmed, context.Canceled),
		},
	},
	{
		name: "transport closed",
		play: [3]func(*scene){(*scene).closedBefore, (*scene).closedWhileUnconfirmed, (*scene).closedWhileRunning},
		call: endings{
			fails(atOnce, never, messaging.ErrClosed), fails(atOnce, maybe, messaging.ErrClosed), fails(atOnce, maybe, messaging.ErrClosed),
		},
		cast:   endings{fails(atOnce, never, messaging.ErrClosed), fails(atOnce, maybe, messaging.ErrClosed)},
		fanout: endings{fails(atOnce, never, messaging.ErrClosed), fails(atOnce, maybe, messaging.ErrClosed)},
	},
	{
		name:   "more than `max_senders` under way",
		play:   [3]func(*scene){(*scene).tooManySenders},
		call:   endings{fails(atOnce, never, messaging.ErrTooManySenders), {}, {}},
		cast:   endings{fails(atOnce, never, messaging.ErrTooManySenders), {}},
		fanout: endings{fails(atOnce, never, messaging.ErrTooManySenders), {}},
	},
}
