//go:build integration

package integration_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/serializer"
)

// identity has a value for every field, and pythonFields are the same in oslo.context's names.
var (
	identity = messaging.Identity{
		UserID: "ů-1", UserName: "un", UserDomainID: "ud", UserDomainName: "udn",
		ProjectID: "p-1", ProjectName: "pn", ProjectDomainID: "pd", ProjectDomainName: "pdn",
		DomainID: "d", DomainName: "dn", SystemScope: "all", Roles: []string{"admin", "member"}, IsAdmin: true,
		AuthToken: "t", RequestID: "req-1", GlobalRequestID: "req-0",
	}
	pythonFields = map[string]any{
		"user_id": "ů-1", "user_name": "un", "user_domain_id": "ud", "user_domain_name": "udn",
		"project_id": "p-1", "project_name": "pn", "project_domain_id": "pd", "project_domain_name": "pdn",
		"domain_id": "d", "domain_name": "dn", "system_scope": "all", "roles": []any{"admin", "member"}, "is_admin": true,
		"auth_token": "t", "request_id": "req-1", "global_request_id": "req-0",
	}
)

// askContext lets Python make a dict of the fields of a RequestContext, and the fields of one of a dict.
func askContext(t *testing.T, py *python, fields map[string]any, dict messaging.RequestContext) (gotDict messaging.RequestContext, gotFields map[string]any) {
	t.Helper()
	question, err := serializer.JSON.Append(nil, map[string]any{"fields": fields, "dict": dict})
	if err != nil {
		t.Fatal(err)
	}
	var output, stderr bytes.Buffer
	script, err := py.start(patient(t), "request_context.py")
	if err != nil {
		t.Fatal(err)
	}
	defer script.end()
	script.Stdin, script.Stdout, script.Stderr = bytes.NewReader(question), &output, &stderr
	if err := script.Run(); err != nil {
		t.Fatalf("oslo.context: %v\n%s", err, &stderr)
	}
	var answer struct {
		Dict   messaging.RequestContext `json:"dict"`
		Fields map[string]any           `json:"fields"`
	}
	if err := serializer.JSON.Decode(output.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Dict, answer.Fields
}

func TestRequestContextsOfPythonAreRead(t *testing.T) {
	t.Parallel()
	withEachPython(t, requestContextsOfPythonAreRead)
}

func requestContextsOfPythonAreRead(t *testing.T, py *python) {
	fields := map[string]any{"read_only": true, "show_deleted": true, "resource_uuid": "r", "is_admin_project": false}
	maps.Copy(fields, pythonFields)
	rc, _ := askContext(t, py, fields, nil)
	got := messaging.Identity{
		UserID: rc.UserID(), UserDomainID: rc.UserDomainID(), ProjectID: rc.ProjectID(), ProjectDomainID: rc.ProjectDomainID(),
		DomainID: rc.DomainID(), SystemScope: rc.SystemScope(), Roles: rc.Roles(), IsAdmin: rc.IsAdmin(),
		AuthToken: rc.AuthToken(), RequestID: rc.RequestID(), GlobalRequestID: rc.GlobalRequestID(),
	}
	want := identity // to_dict leaves the names out
	want.UserName, want.UserDomainName, want.ProjectName, want.ProjectDomainName, want.DomainName = "", "", "", "", ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("identity (-python +read):\n%s", diff)
	}
	if !rc.ReadOnly() || !rc.ShowDeleted() || rc.ResourceUUID() != "r" || rc.IsAdminProject() {
		t.Errorf("read_only %t, show_deleted %t, resource_uuid %q, is_admin_project %t", rc.ReadOnly(), rc.ShowDeleted(), rc.ResourceUUID(), rc.IsAdminProject())
	}
}

func TestIdentitiesAreReadByPython(t *testing.T) {
	t.Parallel()
	withEachPython(t, identitiesAreReadByPython)
}

func identitiesAreReadByPython(t *testing.T, py *python) {
	_, fields := askContext(t, py, nil, identity.RequestContext())
	for name, want := range pythonFields {
		if diff := cmp.Diff(want, fields[name]); diff != "" {
			t.Errorf("%s (-sent +python):\n%s", name, diff)
		}
	}
	if fields["is_admin_project"] != true || fields["read_only"] != false {
		t.Errorf("is_admin_project %v, read_only %v, want true and false", fields["is_admin_project"], fields["read_only"])
	}
}

// TestIdentitiesSendWhatPythonSends compares the maps. Beyond Python's there are the names that from_dict reads,
// and the ids under the keys that nova and cinder read.
func TestIdentitiesSendWhatPythonSends(t *testing.T) {
	t.Parallel()
	withEachPython(t, identitiesSendWhatPythonSends)
}

func identitiesSendWhatPythonSends(t *testing.T, py *python) {
	for name, c := range map[string]struct {
		identity messaging.Identity
		fields   map[string]any
	}{
		"everything": {identity, pythonFields},
		"nothing":    {messaging.Identity{RequestID: "req-2"}, map[string]any{"request_id": "req-2"}},
	} {
		want, _ := askContext(t, py, c.fields, nil)
		var got messaging.RequestContext
		text, err := json.Marshal(c.identity.RequestContext())
		if err != nil {
			t.Fatal(err)
		}
		if err := serializer.JSON.Decode(text, &got); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{
			"user_id", "user_domain_id", "project_domain_id", "domain_id",
			"user_name", "user_domain_name", "project_name", "project_domain_name", "domain_name",
		} {
			if _, ok := got[key]; !ok {
				t.Errorf("%s: no %s", name, key)
			}
			delete(got, key)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-python +go):\n%s", name, diff)
		}
	}
}
