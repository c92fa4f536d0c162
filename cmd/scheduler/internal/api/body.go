package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"
)

const (
	maxBody  = 1 << 20 // bytes: room for the UUIDs of as many instances as a request may name
	maxDepth = 8       // of lists and objects in each other
)

// readBody reads the object that a request has for its body. encoding/json by itself would take names in any case, one name
// twice, and text that is not UTF-8, and forgets which field an error is about.
func readBody(req *http.Request) (*object, error) {
	if err := checkContentType(req.Header.Get("Content-Type")); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(req.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, badRequest("the body could not be read")
	case len(text) > maxBody:
		return nil, &Problem{Status: http.StatusRequestEntityTooLarge, Detail: "the body is longer than 1 MiB"}
	case !utf8.Valid(text):
		return nil, badRequest("the body is not UTF-8")
	}
	return parseObject(text)
}

func checkContentType(header string) error {
	kind, params, err := mime.ParseMediaType(header)
	charset, given := params["charset"]
	if err != nil || kind != "application/json" || given && !strings.EqualFold(charset, "utf-8") {
		return &Problem{Status: http.StatusUnsupportedMediaType, Detail: "want a body of Content-Type application/json"}
	}
	return nil
}

func parseObject(text []byte) (*object, error) {
	p := parser{json.NewDecoder(bytes.NewReader(text))}
	p.UseNumber()
	v, err := p.value("", 0)
	if err != nil {
		return nil, notJSON(err)
	}
	if _, err := p.Token(); !errors.Is(err, io.EOF) {
		return nil, badRequest("the body has something behind its end")
	}
	fields, ok := v.(map[string]any)
	if !ok {
		return nil, badRequest("want an object, got %s", kind(v))
	}
	return &object{fields: fields}, nil
}

func notJSON(err error) error {
	var p *Problem
	if errors.As(err, &p) {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return badRequest("the body ends too early")
	}
	return badRequest("the body is not JSON: %s", err)
}

// parser reads JSON into maps, lists, texts, json.Numbers, booleans and nil.
type parser struct{ *json.Decoder }

func (p parser) value(path string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, wrongField(path, "nested too deep")
	}
	token, err := p.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		return p.object(path, depth)
	case json.Delim('['):
		return p.list(path, depth)
	}
	return token, nil
}

func (p parser) object(path string, depth int) (any, error) {
	fields := make(map[string]any)
	for p.More() {
		token, err := p.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string) // else the decoder had failed
		inside := join(path, name)
		if _, twice := fields[name]; twice {
			return nil, wrongField(inside, "given twice")
		}
		if fields[name], err = p.value(inside, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := p.Token() // the brace
	return fields, err
}

func (p parser) list(path string, depth int) (any, error) {
	items := []any{}
	for p.More() {
		item, err := p.value(index(path, len(items)), depth+1)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	_, err := p.Token() // the bracket
	return items, err
}
