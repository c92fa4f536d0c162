package nova

// Object is a versioned object on the wire, as oslo.versionedobjects writes it
// (oslo_versionedobjects/base.py, obj_to_primitive).
type Object[T any] struct {
	Name      string `json:"nova_object.name"`
	Namespace string `json:"nova_object.namespace"`
	Version   string `json:"nova_object.version"`
	Data      T      `json:"nova_object.data"`
	// Changes are the fields that were set since the object was loaded; a set, in no order.
	Changes []string `json:"nova_object.changes"`
}

// dataKey holds an object's fields.
const dataKey = "nova_object.data"

// object is the fields of an object, or of a plain dict, and where it stood.
type object struct {
	path   string
	fields map[string]any
}

// get returns a field; one that is not there reads as absent.
func (o object) get(field string) value {
	return value{path: o.path + "." + field, any: o.fields[field]}
}

// object reads an object in its envelope or a plain dict. Absent is an object without fields.
func (v value) object() (object, error) {
	if v.absent() {
		return object{path: v.path}, nil
	}
	fields, ok := v.any.(map[string]any)
	if !ok {
		return object{}, v.wrong("an object")
	}
	if data, wrapped := fields[dataKey]; wrapped {
		if fields, ok = data.(map[string]any); !ok {
			return object{}, value{v.path + "." + dataKey, data}.wrong("an object")
		}
	}
	return object{path: v.path, fields: fields}, nil
}

// objects reads a list of objects, a list object (its "objects") or one object alone; nova sends all three.
func (v value) objects() ([]object, error) {
	if _, single := v.any.(map[string]any); single {
		o, err := v.object()
		if err != nil {
			return nil, err
		}
		if _, many := o.fields["objects"]; !many {
			return []object{o}, nil
		}
		v = o.get("objects")
	}
	items, err := v.list()
	if err != nil {
		return nil, err
	}
	objects := make([]object, len(items))
	for i, item := range items {
		if item.absent() {
			return nil, item.wrong("an object")
		}
		if objects[i], err = item.object(); err != nil {
			return nil, err
		}
	}
	return objects, nil
}
