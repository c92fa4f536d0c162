// Package listen opens the listening sockets of a service by name, so that a parent can bind them once and its workers,
// which run the same main, find them again under the same name. It runs on Linux.
//
// [TCP] and [Unix] look for a socket in this order (oslo.service binds in a server's constructor and inherits by fork):
//
//  1. the descriptors that a parent has handed to this process, where it is a worker;
//  2. those of systemd's socket activation with the same FileDescriptorName, where LISTEN_PID is this process;
//  3. a socket of its own, which it binds.
//
// A [Listener] does not accept. It listens, so that clients can connect before anything is started and while a server is
// restarted; they wait in its backlog. Each server accepts on a duplicate (see [Listener.Accepting]), and a parent hands
// the descriptor to its workers (see [Inherited]).
//
// # O_NONBLOCK
//
// This flag belongs to the socket, not to a descriptor: where one process takes it away, accepting blocks in all that
// share the socket, and none of them can be stopped any more. The File method of the listeners of package net gives
// descriptors that do so each time when a process is started with them. Those of this package never touch the flag.
package listen
