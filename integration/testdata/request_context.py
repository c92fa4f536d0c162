"""Shows both ways between oslo.context and a dict: {"fields": ..., "dict": ...} in, the same the other way round out."""

import json
import sys

from oslo_context import context

question = json.load(sys.stdin)
answer = {
    'dict': context.RequestContext(**question['fields']).to_dict(),
    'fields': {name.lstrip('_'): value
               for name, value in vars(context.RequestContext.from_dict(question['dict'])).items()},
}
json.dump(answer, sys.stdout)
