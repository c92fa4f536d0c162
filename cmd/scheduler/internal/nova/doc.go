// Package nova speaks nova's objects: it reads what nova's conductor and compute services send a scheduler,
// asks package placement, and answers as nova's own scheduler would.
//
// A [Manager] has one method for each RPC of the scheduler, version 4.5. Its arguments are the keyword
// arguments of the message, decoded into the struct of that method; values whose shape varies between callers
// are left as encoding/json decodes them into an any (numbers as json.Number or float64). A nova object on the
// wire is a dict with its fields under "nova_object.data" (oslo.versionedobjects); wherever one is expected,
// a plain dict of the fields is taken as well, as callers before 4.3 send it. Unknown object versions and
// unknown fields are tolerated; a known field of a wrong type fails with an [*ArgumentError] that names it.
package nova
