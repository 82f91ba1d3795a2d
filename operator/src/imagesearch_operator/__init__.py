"""The operator: it makes the cluster what each ImageCollection says, and says in its status how far that has come.

handlers (kopf) ──► queue ──► reconcile ──► observe: cluster, stores ──► Facts
                                 │                                         │
                                 ├──► plan   (pure: spec + facts -> manifests, topics, index) ◄─┤
                                 ├──► apply: cluster, stores                                    │
                                 └──► status (pure: spec + facts -> conditions, counts) ◄───────┘
"""
