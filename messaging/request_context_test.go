package messaging_test

import (
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/messaging"
)

// textAccessors are the methods that return text, and the keys they read, the first one first.
var textAccessors = map[string]struct {
	read func(messaging.RequestContext) string
	keys []string
}{
	"UserID":                   {messaging.RequestContext.UserID, []string{"user_id", "user"}},
	"UserName":                 {messaging.RequestContext.UserName, []string{"user_name"}},
	"UserDomainID":             {messaging.RequestContext.UserDomainID, []string{"user_domain_id", "user_domain"}},
	"UserDomainName":           {messaging.RequestContext.UserDomainName, []string{"user_domain_name"}},
	"ProjectID":                {messaging.RequestContext.ProjectID, []string{"project_id", "project", "tenant"}},
	"ProjectName":              {messaging.RequestContext.ProjectName, []string{"project_name"}},
	"ProjectDomainID":          {messaging.RequestContext.ProjectDomainID, []string{"project_domain_id", "project_domain"}},
	"ProjectDomainName":        {messaging.RequestContext.ProjectDomainName, []string{"project_domain_name"}},
	"DomainID":                 {messaging.RequestContext.DomainID, []string{"domain_id", "domain"}},
	"DomainName":               {messaging.RequestContext.DomainName, []string{"domain_name"}},
	"SystemScope":              {messaging.RequestContext.SystemScope, []string{"system_scope"}},
	"ResourceUUID":             {messaging.RequestContext.ResourceUUID, []string{"resource_uuid"}},
	"RequestID":                {messaging.RequestContext.RequestID, []string{"request_id"}},
	"GlobalRequestID":          {messaging.RequestContext.GlobalRequestID, []string{"global_request_id"}},
	"AuthToken":                {messaging.RequestContext.AuthToken, []string{"auth_token"}},
	"ServiceToken":             {messaging.RequestContext.ServiceToken, []string{"service_token"}},
	"ServiceUserID":            {messaging.RequestContext.ServiceUserID, []string{"service_user_id"}},
	"ServiceUserName":          {messaging.RequestContext.ServiceUserName, []string{"service_user_name"}},
	"ServiceUserDomainID":      {messaging.RequestContext.ServiceUserDomainID, []string{"service_user_domain_id"}},
	"ServiceUserDomainName":    {messaging.RequestContext.ServiceUserDomainName, []string{"service_user_domain_name"}},
	"ServiceProjectID":         {messaging.RequestContext.ServiceProjectID, []string{"service_project_id"}},
	"ServiceProjectName":       {messaging.RequestContext.ServiceProjectName, []string{"service_project_name"}},
	"ServiceProjectDomainID":   {messaging.RequestContext.ServiceProjectDomainID, []string{"service_project_domain_id"}},
	"ServiceProjectDomainName": {messaging.RequestContext.ServiceProjectDomainName, []string{"service_project_domain_name"}},
}

func TestTextsOfARequestContextAreReadByTheirKeys(t *testing.T) {
	t.Parallel()
	for name, accessor := range textAccessors {
		rc := messaging.RequestContext{}
		for _, key := range slices.Backward(accessor.keys) { // each in turn hides those before
			rc[key] = key
			if got := accessor.read(rc); got != key {
				t.Errorf("%s of %v = %q, want %q", name, rc, got, key)
			}
		}
		if len(accessor.keys) > 1 {
			rc[accessor.keys[0]] = nil
			if got := accessor.read(rc); got != accessor.keys[1] {
				t.Errorf("%s of %v = %q, want %q", name, rc, got, accessor.keys[1])
			}
		}
		for _, wrong := range []any{json.Number("7"), true, []any{"x"}, map[string]any{}} {
			rc[accessor.keys[0]] = wrong
			if got := accessor.read(rc); got != "" {
				t.Errorf("%s of %v = %q, want nothing", name, rc, got)
			}
		}
		if got := accessor.read(nil); got != "" {
			t.Errorf("%s of nil = %q", name, got)
		}
	}
}

func TestFlagsOfARequestContextAreFalseUnlessTheyAreTrue(t *testing.T) {
	t.Parallel()
	for key, read := range map[string]func(messaging.RequestContext) bool{
		"is_admin": messaging.RequestContext.IsAdmin, "is_admin_project": messaging.RequestContext.IsAdminProject,
		"read_only": messaging.RequestContext.ReadOnly, "show_deleted": messaging.RequestContext.ShowDeleted,
	} {
		for _, test := range []struct {
			value any
			want  bool
		}{{true, true}, {false, false}, {nil, false}, {"true", false}, {json.Number("1"), false}, {[]any{true}, false}} {
			if got := read(messaging.RequestContext{key: test.value}); got != test.want {
				t.Errorf("%s: %v is read as %t, want %t", key, test.value, got, test.want)
			}
		}
		if got, want := read(nil), key == "is_admin_project"; got != want {
			t.Errorf("absent %s is read as %t, want %t", key, got, want)
		}
	}
}

func TestRolesOfARequestContextAreTexts(t *testing.T) {
	t.Parallel()
	for key, read := range map[string]func(messaging.RequestContext) []string{
		"roles": messaging.RequestContext.Roles, "service_roles": messaging.RequestContext.ServiceRoles,
	} {
		for _, test := range []struct {
			value any
			want  []string
		}{
			{[]any{"admin", "member"}, []string{"admin", "member"}},
			{[]string{"admin"}, []string{"admin"}},
			{[]any{}, []string{}},
			{[]any{"admin", nil}, nil},
			{[]any{json.Number("1")}, nil},
			{"admin", nil},
			{nil, nil},
		} {
			if got := read(messaging.RequestContext{key: test.value}); !reflect.DeepEqual(got, test.want) {
				t.Errorf("%s: %v are read as %#v, want %#v", key, test.value, got, test.want)
			}
		}
	}
}

func TestClientTimeoutIsADuration(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		value any
		want  time.Duration
	}{
		{json.Number("60"), time.Minute},
		{json.Number("2.5"), 2500 * time.Millisecond},
		{60, time.Minute},
		{int8(60), time.Minute},
		{uint64(60), time.Minute},
		{float32(0.5), time.Second / 2},
		{1e-3, time.Millisecond},
		{nil, 0},
		{"60", 0},
		{true, 0},
		{json.Number("-1"), 0},
		{json.Number("0"), 0},
		{json.Number("NaN"), 0},
		{json.Number("sixty"), 0},
		{json.Number("1e308"), math.MaxInt64},
		{json.Number("1e999"), math.MaxInt64},
		{json.Number("-1e999"), 0},
		{uint64(math.MaxUint64), math.MaxInt64},
		{math.Inf(1), math.MaxInt64},
	} {
		if got := (messaging.RequestContext{"client_timeout": test.value}).ClientTimeout(); got != test.want {
			t.Errorf("client_timeout %v is read as %s, want %s", test.value, got, test.want)
		}
	}
}

func TestRedactedContextsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	rc := messaging.RequestContext{
		"user_id": "u", "roles": []any{"admin"}, "auth_token": "s1", "service_token": nil, "auth_token_info": map[string]any{"token": "s2"},
		"Trust_Password": "s3", "deep": map[string]any{"list": []any{map[string]any{"client_secret": []any{"s4"}, "kept": 1}}},
	}
	before := messaging.RequestContext{}
	maps.Copy(before, rc)
	want := messaging.RequestContext{
		"user_id": "u", "roles": []any{"admin"}, "auth_token": "***", "service_token": nil, "auth_token_info": "***",
		"Trust_Password": "***", "deep": map[string]any{"list": []any{map[string]any{"client_secret": "***", "kept": 1}}},
	}
	if diff := cmp.Diff(want, rc.Redacted()); diff != "" {
		t.Errorf("redacted (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, rc); diff != "" {
		t.Errorf("the context itself has changed (-before +after):\n%s", diff)
	}
	if got := messaging.RequestContext(nil).Redacted(); got != nil {
		t.Errorf("nil is redacted to %v", got)
	}
}

func TestIdentitiesBecomeRequestContexts(t *testing.T) {
	t.Parallel()
	id := messaging.Identity{
		UserID: "u", UserName: "un", UserDomainID: "ud", UserDomainName: "udn",
		ProjectID: "p", ProjectName: "pn", ProjectDomainID: "pd", ProjectDomainName: "pdn",
		DomainID: "d", DomainName: "dn", SystemScope: "all", Roles: []string{"admin"}, IsAdmin: true,
		AuthToken: "t", RequestID: "req-1", GlobalRequestID: "req-0",
	}
	rc := id.RequestContext()
	back := messaging.Identity{
		UserID: rc.UserID(), UserName: rc.UserName(), UserDomainID: rc.UserDomainID(), UserDomainName: rc.UserDomainName(),
		ProjectID: rc.ProjectID(), ProjectName: rc.ProjectName(), ProjectDomainID: rc.ProjectDomainID(), ProjectDomainName: rc.ProjectDomainName(),
		DomainID: rc.DomainID(), DomainName: rc.DomainName(), SystemScope: rc.SystemScope(), Roles: rc.Roles(), IsAdmin: rc.IsAdmin(),
		AuthToken: rc.AuthToken(), RequestID: rc.RequestID(), GlobalRequestID: rc.GlobalRequestID(),
	}
	if diff := cmp.Diff(id, back); diff != "" {
		t.Errorf("identity (-sent +read):\n%s", diff)
	}
	if got, want := rc["user_identity"], "u p d ud pd"; got != want {
		t.Errorf("user_identity = %v, want %s", got, want)
	}

	nobody := messaging.Identity{}.RequestContext()
	if got, want := nobody["user_identity"], "- - - - -"; got != want || nobody["user_id"] != nil || nobody.Roles() == nil || !nobody.IsAdminProject() {
		t.Errorf("nobody's context is %v", nobody)
	}
	if other := (messaging.Identity{}).RequestContext(); other.RequestID() == nobody.RequestID() {
		t.Errorf("two contexts have one request id, %s", other.RequestID())
	}
}

func TestRequestIDsAreRandomUUIDs(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^req-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	a, b := messaging.NewRequestID(), messaging.NewRequestID()
	if !form.MatchString(a) || !form.MatchString(b) || a == b {
		t.Errorf("request ids %s and %s, want two of the form %s", a, b, form)
	}
}
