// Package memory is the bus inside one process: a [Driver] on a [Broker] that keeps exchanges and queues in
// memory and treats messages as RabbitMQ treats those of oslo.messaging. Tests, examples and programs
// whose client and server live together need nothing else.
//
// # What is the same as on RabbitMQ
//
// Messages travel as the bytes that would go over the wire: they are encoded where they are sent and decoded
// where they are polled, and a body that is no message is rejected without ever coming back.
//
// A server of topic T with name S consumes from three queues: T, which all servers of the topic share, T.S,
// which listeners of the same name share, and a private one bound to the fanout exchange T_fanout. Queues live
// in one flat name space: servers of one topic share its queue, and its fanouts, even where their exchanges
// differ. T and T.S outlive their listeners and keep what is sent meanwhile; before the first listener
// there is no queue, and what is sent is lost. Binding keys are compared as they stand: the wildcards of topic
// exchanges, which oslo.messaging never binds, are not read.
//
// Each queue hands its messages to its consumers in turn, up to their prefetch. A message that is handed back
// returns to its place and is marked redelivered. Messages expire at the head of their queue only: one that
// cannot move keeps those behind it, expired or not. Besides, an expired request that was prefetched is
// dropped when it is polled: in one process both sides know its deadline.
//
// A full queue refuses what is published to it (RabbitMQ's overflow policy reject-publish). As there, only
// messages that wait count, those that a consumer holds do not.
//
// # What is not
//
// Nothing is stored, nothing outlives the process, and a broker is never absent: what a caller says about
// retries is not read.
//
// # Inside
//
// No goroutine belongs to a broker or listener: work is done by who publishes, polls or acknowledges. A driver
// has one goroutine, from its first call on, that takes replies off its reply queue. Locks are held for a few
// hundred nanoseconds, never while anything is waited for, and are taken in this order: Driver, Broker, queue.
package memory
