package serializer

import (
	"reflect"
	"sync"
)

// plan is how the values of one type are written, or read: a function F that reflection makes once. It is
// made when the first value comes, not before: so a type may contain itself.
type plan[F any] struct {
	once sync.Once
	typ  reflect.Type
	make func(reflect.Type) F
	f    F
}

func (p *plan[F]) fn() F {
	p.once.Do(func() { p.f = p.make(p.typ) })
	return p.f
}

// plans keeps the plan of every type seen; there are as many as a program has types.
type plans[F any] struct {
	byType sync.Map // of reflect.Type to *plan[F]
}

func (c *plans[F]) of(t reflect.Type, maker func(reflect.Type) F) *plan[F] {
	if known, ok := c.byType.Load(t); ok {
		return known.(*plan[F])
	}
	known, _ := c.byType.LoadOrStore(t, &plan[F]{typ: t, make: maker})
	return known.(*plan[F])
}
