package messaging

import (
	"errors"
	"fmt"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/serializer"
)

// serializers hold one serializer for each content type.
type serializers struct{ json, msgpack serializer.Serializer }

// builtinSerializers are those that a server has of itself.
var builtinSerializers = serializers{json: serializer.JSON, msgpack: serializer.Msgpack}

// withOwn replaces the serializer of its content type by own.
func withOwn(own serializer.Serializer) serializers {
	s := builtinSerializers
	if own.ContentType() == wire.ContentTypeMsgpack {
		s.msgpack = own
	} else {
		s.json = own
	}
	return s
}

// of returns the serializer of a message; an empty content type is JSON's.
func (s serializers) of(contentType string) serializer.Serializer {
	if contentType == wire.ContentTypeMsgpack {
		return s.msgpack
	}
	return s.json
}

func checkSerializer(s serializer.Serializer) error {
	if s == nil {
		return errors.New("the serializer is nil")
	}
	if t := s.ContentType(); t != wire.ContentTypeJSON && t != wire.ContentTypeMsgpack {
		return fmt.Errorf("the serializer's content type is %q: want %s or %s", t, wire.ContentTypeJSON, wire.ContentTypeMsgpack)
	}
	return nil
}
