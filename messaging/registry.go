package messaging

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goslo/goslo/serializer"
)

// ErrorRegistry maps classes of Python exceptions to errors of Go, both ways. A server that is given one by
// [WithErrors] sends an error that is registered as its class; a client gets a failure of that class as a
// [*RemoteError] that also matches the registered error, by errors.Is or errors.As, whichever language the
// server is written in.
//
// The zero value is empty and ready. Register everything at start-up, before the registry is used; from then on
// it is safe for concurrent use, and any number of servers and clients may share it. A class can be registered
// once. An error may be registered under several classes (an exception that was moved to another module): it is
// sent as the first and recognized by each.
//
// Of an error that wraps others the outermost registered one counts, and a [*RemoteError] counts as registered:
// fmt.Errorf("%w: %w", ErrBuild, remote) is sent as ErrBuild, fmt.Errorf("build: %w", remote) as what remote is.
type ErrorRegistry struct {
	mappings []*errorMapping // in the order of registration
	classes  map[pythonClass]*errorMapping
}

// errorMapping is one class and its two ways.
type errorMapping struct {
	class pythonClass
	// encode returns nil for an error that is not the registered one; what that wraps is none of its business.
	encode func(err error, s serializer.Serializer) *RemoteError
	// decode returns nil where the failure cannot be made into the registered error.
	decode func(remote *RemoteError, s serializer.Serializer) error
}

// pythonClass names an exception class.
type pythonClass struct{ module, name string }

// classOf is the class that a failure names. Python calls a remote exception that it raises again X_Remote of
// m_Remote, which is X of m still; exceptions is Python 2's name for builtins (oslo_messaging/_drivers/common.py).
func classOf(module, name string) pythonClass {
	bareModule, remoteModule := strings.CutSuffix(module, "_Remote")
	bareName, remoteName := strings.CutSuffix(name, "_Remote")
	if remoteModule && remoteName {
		module, name = bareModule, bareName
	}
	if module == "exceptions" {
		module = builtins
	}
	return pythonClass{module, name}
}

// Sentinel maps a class to err, which callers tell by errors.Is. On its way out the exception's message, and its
// only argument, is the text of the error that the method returned, with all that err was wrapped in.
//
// The errors of this package and of package context are better not registered: where a call fails with one of
// them, it would no longer tell whether the peer failed or this side.
//
// It panics if the class is empty or registered already, or if err is nil or cannot be compared.
func (r *ErrorRegistry) Sentinel(module, class string, err error) {
	if err == nil || !reflect.TypeOf(err).Comparable() {
		panic(fmt.Sprintf("messaging: register %s.%s: %T is no sentinel", module, class, err))
	}
	r.add(module, class, &errorMapping{
		encode: func(node error, _ serializer.Serializer) *RemoteError {
			if !isSentinel(node, err) {
				return nil
			}
			return &RemoteError{}
		},
		decode: func(*RemoteError, serializer.Serializer) error { return err },
	})
}

// RegisterError maps a class to an error type whose fields travel as the exception's kwargs, under their json
// tags. E is a struct or a pointer to one; callers get it by errors.As. The message, and only argument, is the
// text of the error that the method returned. Fields that a peer does not send stay zero; kwargs that do not fit
// the fields leave the caller the [*RemoteError] alone. If a field cannot be encoded, none is sent.
//
// It panics if the class is empty or registered already, or if E is no such type or embeds another:
// [RegisterErrorFunc] takes any.
func RegisterError[E error](r *ErrorRegistry, module, class string) {
	fields, err := newErrorFields(reflect.TypeFor[E]())
	if err != nil {
		panic(fmt.Sprintf("messaging: register %s.%s: %v", module, class, err))
	}
	r.add(module, class, &errorMapping{
		encode: func(node error, s serializer.Serializer) *RemoteError {
			e, ok := asType[E](node)
			if !ok {
				return nil
			}
			return &RemoteError{Kwargs: fields.kwargs(e, s)}
		},
		decode: func(remote *RemoteError, s serializer.Serializer) error {
			var e E
			if fields.set(&e, remote.Kwargs, s) == nil {
				return e
			}
			return nil
		},
	})
}

// RegisterErrorFunc maps a class to an error type by functions of the user's own. Either may be nil: then the
// class is only recognized, or only sent.
//
// encode makes the failure of an error of the type. The registered module and class are filled in, and an empty
// Message becomes the text of the error that the method returned. Where it returns nil, the error is not sent as
// this class. decode makes the error that callers get by errors.As; where it returns nil, or panics, they get
// the [*RemoteError] alone. Both may be called concurrently.
//
// It panics if the class is empty or registered already, or if both functions are nil.
func RegisterErrorFunc[E error](r *ErrorRegistry, module, class string, encode func(E) *RemoteError, decode func(*RemoteError) E) {
	if encode == nil && decode == nil {
		panic(fmt.Sprintf("messaging: register %s.%s: neither encode nor decode", module, class))
	}
	m := &errorMapping{}
	if encode != nil {
		m.encode = func(node error, _ serializer.Serializer) *RemoteError {
			e, ok := asType[E](node)
			if !ok {
				return nil
			}
			return encode(e)
		}
	}
	if decode != nil {
		m.decode = func(remote *RemoteError, _ serializer.Serializer) error { return decode(remote) }
	}
	r.add(module, class, m)
}

func (r *ErrorRegistry) add(module, class string, m *errorMapping) {
	m.class = classOf(module, class)
	if m.class.name == "" {
		panic(fmt.Sprintf("messaging: register an error of module %q: the class has no name", module))
	}
	if r.classes[m.class] != nil {
		panic(fmt.Sprintf("messaging: the class %s.%s is registered twice", m.class.module, m.class.name))
	}
	if r.classes == nil {
		r.classes = make(map[pythonClass]*errorMapping)
	}
	r.classes[m.class] = m
	r.mappings = append(r.mappings, m)
}

// encode makes the failure of node, one of the errors that the method's error consists of; text is that of the
// whole. It is nil where node itself is not registered.
func (r *ErrorRegistry) encode(node error, text func() string, s serializer.Serializer) *RemoteError {
	if r == nil {
		return nil
	}
	for _, m := range r.mappings {
		if m.encode == nil {
			continue
		}
		made := m.encode(node, s)
		if made == nil {
			continue
		}
		remote := *made // it may be the user's own, for all calls the same
		remote.Module, remote.Class = m.class.module, m.class.name
		if remote.Message == "" {
			remote.Message = text()
		}
		return &remote
	}
	return nil
}

// decode is the registered error that a received failure stands for, or nil.
func (r *ErrorRegistry) decode(remote *RemoteError, s serializer.Serializer) error {
	if r == nil {
		return nil
	}
	m := r.classes[classOf(remote.Module, remote.Class)]
	if m == nil || m.decode == nil {
		return nil
	}
	given := *remote // it may be wrapped by what is made of it, which remote is to wrap
	var made error
	if recovered(func() error { made = m.decode(&given, s); return nil }) == nil && !isNil(made) {
		return made
	}
	return nil
}

// isSentinel is errors.Is for err alone, without what it wraps.
func isSentinel(err, sentinel error) bool {
	if err == sentinel { //nolint:errorlint // the tree is walked outside
		return true
	}
	x, ok := err.(interface{ Is(target error) bool })
	return ok && x.Is(sentinel)
}

// asType is errors.As for err alone, without what it wraps.
func asType[E error](err error) (E, bool) {
	if e, ok := err.(E); ok { //nolint:errorlint // the tree is walked outside
		return e, true
	}
	var e E
	if x, ok := err.(interface{ As(target any) bool }); ok && x.As(&e) {
		return e, true
	}
	return e, false
}

// isNil also knows the nil pointer in an error interface.
func isNil(err error) bool {
	if err == nil {
		return true
	}
	v := reflect.ValueOf(err)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

type errorsOption struct{ registry *ErrorRegistry }

func (o errorsOption) applyServer(c *serverConfig) { c.failures.registry = o.registry }
func (o errorsOption) applyClient(c *clientConfig) { c.errors = o.registry }

// WithErrors gives a server or a client the registry of its errors. Without one, every error of a method but a
// [*RemoteError] goes out as class Exception of module builtins, and every failure comes in as a [*RemoteError] alone.
func WithErrors(r *ErrorRegistry) Option { return errorsOption{r} }
