package messaging_test

import (
	"encoding/json"
	"fmt"

	"github.com/goslo/goslo/messaging"
)

// A request context as services of OpenStack expect it, and what of it may be logged.
func ExampleIdentity() {
	rc := messaging.Identity{
		UserID: "u-1", ProjectID: "p-1", Roles: []string{"member"}, AuthToken: "gAAAAAB", RequestID: "req-1",
	}.RequestContext()
	rc["read_only"] = true
	fmt.Println(rc.UserID(), rc.ProjectID(), rc.Roles(), rc.IsAdmin(), rc.ReadOnly())
	fmt.Println(rc["user_identity"], rc.Redacted().AuthToken())
	// Output:
	// u-1 p-1 [member] false true
	// u-1 p-1 - - - ***
}

// The accessors know the names that oslo.context has had for a key.
func ExampleRequestContext_UserID() {
	var rc messaging.RequestContext
	err := json.Unmarshal([]byte(`{"user": "u-1", "tenant": "p-1", "roles": ["admin"], "is_admin": true}`), &rc)
	fmt.Println(rc.UserID(), rc.ProjectID(), rc.Roles(), rc.IsAdmin(), rc.RequestID() == "", err)
	// Output: u-1 p-1 [admin] true true <nil>
}
