// Package demo shows the bus at work in one process: schedulers share a topic, simulated compute hosts report to
// all of them, and callers place instances.
//
// Everything goes over the bus as in a real cloud, and nothing else connects the three: a scheduler knows what
// hosts reported to it, a little late. Several callers are thus sent to a host that is filling up, and the last
// of them are refused there. As with nova, the host has the last word; the caller asks again and names the hosts
// that refused.
//
// The hosts' own books say in the end whether the schedulers were right: every instance is on one host, no host
// has more than it can hold, and every scheduler knows the same.
package demo
