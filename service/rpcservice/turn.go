package rpcservice

import "context"

// turn is had by one at a time: who works on a service's life. It is a channel, so that a wait for it has an end.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// take waits until nobody else has the turn. One that is free is taken even where ctx has ended: a stop without time is a
// stop.
func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	default:
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t turn) pass() { <-t }
