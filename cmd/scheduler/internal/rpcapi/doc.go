// Package rpcapi is the calling side of the services of this program: what nova calls nova/scheduler/rpcapi.py and
// nova/compute/rpcapi.py.
package rpcapi
