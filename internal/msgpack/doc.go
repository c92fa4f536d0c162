// Package msgpack is the msgpack format on bytes: it appends values, and it walks over them.
//
// It is made for bytes of strangers: what a length claims is held against the bytes that are there before
// anything is made of it, nesting is bounded, strings are UTF-8, and nothing here allocates more than its
// result. Integers and lengths are written in the shortest form, as msgpack libraries do; every form is read.
//
// The format is the one of the msgpack specification with strings, binary data and extensions apart
// (Python: use_bin_type=True, raw=False).
package msgpack
