// Package wsgi serves HTTP as OpenStack's services do (oslo.service's wsgi.Server and the WSGIService of nova and its
// siblings), with the same options, limits and access log; in place of a WSGI application there is an [http.Handler].
//
// A [Server] serves on a [listen.Listener], which stays open over any number of starts and stops and which workers of one
// parent share. A [Service] is one with its name, its manager and its options <name>_listen, <name>_listen_port and
// <name>_workers, ready to be launched.
//
// # Stop
//
// Stop takes no more connections, and every request that has reached the server is answered, with "Connection: close",
// so that its client connects anew, which is then somebody else's. Unlike oslo.service, whose clients see their
// connections break. Connections without a request are closed [Config].StopLinger later: a request may be on its way.
//
// # HTTP/2
//
// It is not served, as by the reference: the limits here are those of connections, which HTTP/2 shares out.
package wsgi
